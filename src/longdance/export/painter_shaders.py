"""What runs on the graphics card for ``painter_gl``: GLSL 3.3 of the body, its shadow, the floor and the backdrop."""

SKINNING = """
#version 330
uniform vec4 rows[3 * JOINTS];
in vec3 position;
in vec3 normal;
in vec4 bones;
in vec4 weights;
in vec2 seams;
void skin(out vec3 place, out vec3 direction) {
    ivec4 first = 3 * ivec4(bones);
    vec4 x = rows[first.x] * weights.x + rows[first.y] * weights.y
           + rows[first.z] * weights.z + rows[first.w] * weights.w;
    vec4 y = rows[first.x + 1] * weights.x + rows[first.y + 1] * weights.y
           + rows[first.z + 1] * weights.z + rows[first.w + 1] * weights.w;
    vec4 z = rows[first.x + 2] * weights.x + rows[first.y + 2] * weights.y
           + rows[first.z + 2] * weights.z + rows[first.w + 2] * weights.w;
    place = vec3(dot(x, vec4(position, 1.0)), dot(y, vec4(position, 1.0)), dot(z, vec4(position, 1.0)));
    direction = vec3(dot(x.xyz, normal), dot(y.xyz, normal), dot(z.xyz, normal));
}
"""

LIGHT_VERTEX = (
    SKINNING
    + """
uniform mat4 light;
out float height;
void main() {
    vec3 place, direction;
    skin(place, direction);
    height = place.y;
    gl_Position = light * vec4(place, 1.0);
}
"""
)

LIGHT_FRAGMENT = """
#version 330
in float height;
out vec2 cover;
void main() {
    // Near the floor a shadow is narrow and dark, far from it wide and faint.
    cover = vec2(exp(-max(height, 0.0) / 0.16), 1.0);
}
"""

SQUARE_VERTEX = """
#version 330
in vec2 corner;
out vec2 place;
void main() {
    place = corner;
    gl_Position = vec4(corner, 0.0, 1.0);
}
"""

SHRINK_FRAGMENT = """
#version 330
uniform sampler2D source;
uniform vec2 texel;
in vec2 place;
out vec2 cover;
void main() {
    vec2 at = place * 0.5 + 0.5;
    vec2 a = vec2(-1.0, 1.0) * texel;
    cover = 0.25 * (texture(source, at + a.xx).rg + texture(source, at + a.yx).rg
                  + texture(source, at + a.xy).rg + texture(source, at + a.yy).rg);
}
"""

BLUR_FRAGMENT = """
#version 330
uniform sampler2D source;
uniform vec2 texel;
in vec2 place;
out vec2 cover;
void main() {
    vec2 at = place * 0.5 + 0.5;
    vec2 sum = vec2(0.0), total = vec2(0.0);
    for (int i = -6; i <= 6; i++) {
        vec2 weight = exp(-float(i * i) * vec2(0.68, 0.063));
        sum += weight * texture(source, at + float(i) * texel).rg;
        total += weight;
    }
    cover = sum / total;
}
"""

STAGE_VERTEX = """
#version 330
in vec2 corner;
uniform vec3 ray_centre, ray_right, ray_up;
out vec3 ray;
out vec2 place;
void main() {
    place = corner;
    ray = ray_centre + ray_right * corner.x + ray_up * corner.y;
    gl_Position = vec4(corner, 1.0, 1.0);
}
"""

# A software driver runs both sides of a branch, so backdrop, floor and body are drawn one by one, each inside
# its own rectangle; the camera never rolls, hence the horizon is a row of pixels.
BACKDROP_FRAGMENT = """
#version 330
uniform vec3 top, horizon;
in vec3 ray;
in vec2 place;
out vec3 colour;
void main() {
    float slope = clamp(ray.y * 2.1, 0.0, 1.0);
    vec3 shown = mix(horizon, top, slope * slope * (3.0 - 2.0 * slope));
    colour = shown * (1.0 - 0.09 * dot(place, place));
}
"""

FLOOR_FRAGMENT = """
#version 330
uniform vec3 eye;
uniform vec2 centre;
uniform mat3x2 ground_light;
uniform sampler2D cover;
uniform vec3 horizon, floor_colour, line_colour;
uniform float pool, density;
in vec3 ray;
in vec2 place;
out vec3 colour;
void main() {
    vec2 ground = eye.xz - (eye.y / min(ray.y, -0.0005)) * ray.xz;
    vec2 cells = ground * density;
    vec2 sharpness = 1.0 / fwidth(cells);
    vec2 lines = clamp(1.5 - (abs(fract(cells - 0.5) - 0.5) - 0.010) * sharpness, 0.0, 1.0);
    lines *= min(vec2(1.0), 0.25 * sharpness);
    vec2 offset = ground - centre;
    float away = dot(offset, offset);
    float lit = 1.0 / (1.0 + away * pool);
    float line = max(lines.x, lines.y) * (0.05 + 0.25 * lit);
    vec3 shown = mix(floor_colour * (0.42 + 0.58 * lit), line_colour, line);
    vec2 shade = texture(cover, ground_light * vec3(ground, 1.0)).rg;
    shown *= (1.0 - 0.60 * shade.r) * (1.0 - 0.45 * shade.g);
    shown = mix(shown, horizon, clamp(away * 0.009 - 0.08, 0.0, 1.0));
    colour = shown * (1.0 - 0.09 * dot(place, place));
}
"""

PASTE_FRAGMENT = """
#version 330
uniform sampler2D body;
uniform ivec2 corner_pixel;
out vec4 colour;
void main() {
    colour = texelFetch(body, ivec2(gl_FragCoord.xy) - corner_pixel, 0);
}
"""

# Light is summed at the vertices: the mesh is as fine as a few pixels, and a software driver shades every
# small triangle in blocks of sixteen pixels. Only the borders between colours are drawn per pixel.
BODY_VERTEX = (
    SKINNING
    + """
uniform mat4 view;
uniform mat4 light;
uniform vec3 eye, key, fill, back;
uniform sampler2DShadow depth;
uniform float shadow_texel;
out vec3 diffuse;
out vec3 glow;
out float gloss;
out vec2 inside;
void main() {
    vec3 place, n;
    skin(place, n);
    n = normalize(n);
    vec3 v = normalize(eye - place);
    vec3 at = (light * vec4(place + 0.014 * n, 1.0)).xyz * 0.5 + 0.5;
    float open = (texture(depth, at + shadow_texel * vec3(-0.5, -1.5, 0.0))
                + texture(depth, at + shadow_texel * vec3(1.5, 0.2, 0.0))
                + texture(depth, at + shadow_texel * vec3(-1.0, 1.3, 0.0))) / 3.0;
    float key_light = max(dot(n, key) * 0.85 + 0.15, 0.0) * mix(0.15, 1.0, open);
    float fill_light = max(dot(n, fill) * 0.6 + 0.4, 0.0);
    float sky = 0.5 + 0.5 * n.y;
    float grounded = mix(0.5, 1.0, smoothstep(-0.02, 0.35, place.y + 0.15 * n.y));
    diffuse = vec3(1.00, 0.95, 0.88) * (0.95 * key_light)
            + vec3(0.62, 0.74, 1.00) * (0.17 * fill_light)
            + mix(vec3(0.15, 0.14, 0.14), vec3(0.20, 0.23, 0.30), sky) * grounded;
    float edge = 1.0 - max(dot(n, v), 0.0);
    edge *= edge * edge * smoothstep(-0.1, 0.6, dot(n, back)) * grounded;
    glow = vec3(0.75, 0.85, 1.00) * (0.50 * edge);
    gloss = pow(max(dot(n, normalize(key + v)), 0.0), 28.0) * open;
    inside = seams;
    gl_Position = view * vec4(place, 1.0);
}
"""
)

BODY_FRAGMENT = """
#version 330
uniform vec3 skin_colour, suit_colour, accent_colour;
in vec3 diffuse, glow;
in float gloss;
in vec2 inside;
out vec4 colour;
void main() {
    vec2 width = max(fwidth(inside), vec2(0.0002));
    vec2 part = smoothstep(-width, width, inside);
    vec3 base = mix(mix(skin_colour, suit_colour, part.x), accent_colour, part.y);
    vec3 lit = base * base * diffuse + glow + vec3(gloss * mix(0.05, 0.18, part.y));
    colour = vec4(sqrt(lit), 1.0);
}
"""
