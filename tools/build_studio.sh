#!/bin/sh
# Builds the studio's page from its source and three.js, and the mannequin that it poses. Needs node, npm and longdance;
# users need neither of the first two.
#
#     sh tools/build_studio.sh
set -eu
THREE=0.187.0
ESBUILD=0.28.2
package=$(cd "$(dirname "$0")/../src/longdance" && pwd)
web="$package/studio/web"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$work/export" "$work/studio/web"
cp -r "$package/export/viewer" "$work/export/viewer"
cp -r "$web/source" "$work/studio/web/source"
cd "$work"
npm init -y >/dev/null
npm install --silent --no-audit --no-fund "three@$THREE" "esbuild@$ESBUILD"
# The licence's text goes along in a file of its own and as the first line of the program.
npx esbuild studio/web/source/main.js --bundle --minify --format=esm --target=es2022 --legal-comments=none \
    --banner:js="/* three.js r${THREE#0.}, (c) three.js authors, MIT License: see LICENSE.three.txt */" \
    --outfile=studio.min.js
cp studio.min.js "$web/studio.min.js"
cp node_modules/three/LICENSE "$web/LICENSE.three.txt"
PYTHONPATH="$package/.." python - "$web/mannequin.glb" <<'PYTHON'
import sys
from pathlib import Path

import numpy as np

from longdance.export.glb import glb_bytes
from longdance.export.takes import ExportOptions, as_take, body
from longdance.motion.motion import Motion
from longdance.motion.skeleton import SMPL24

place = np.array([[0.0, SMPL24.rest_root_height, 0.0]])
rest = Motion(place, np.tile(np.eye(3), (1, len(SMPL24), 1, 1)), fps=30.0)
take = as_take(rest, ExportOptions())
Path(sys.argv[1]).write_bytes(glb_bytes([[take]], body(rest, take)))
PYTHON
