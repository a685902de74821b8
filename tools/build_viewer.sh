#!/bin/sh
# Builds the page's program from its source and three.js. Needs node and npm; users need neither.
#
#     sh tools/build_viewer.sh
set -eu
THREE=0.187.0
ESBUILD=0.28.2
here=$(cd "$(dirname "$0")/../src/longdance/export/viewer" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
npm init -y >/dev/null
npm install --silent --no-audit --no-fund "three@$THREE" "esbuild@$ESBUILD"
cp "$here"/viewer.js "$here"/stage.js "$here"/clock.js .
# The licence's text goes along in a file of its own and as the first line of the program.
npx esbuild viewer.js --bundle --minify --format=esm --target=es2022 --legal-comments=none \
    --banner:js="/* three.js r${THREE#0.}, (c) three.js authors, MIT License: see LICENSE.three.txt */" \
    --outfile=viewer.min.js
cp viewer.min.js "$here/viewer.min.js"
cp node_modules/three/LICENSE "$here/LICENSE.three.txt"
