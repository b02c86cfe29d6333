// One pass that draws a generated picture, its training image and what they share, in every mode.
// Compiled behind colormap.wgsl. Keep in step with src/render/reference.rs: tests/shaders.rs compares.

struct Overlay {
    viewport: vec2<f32>,          // physical pixels
    image: vec2<f32>,             // size of the shown picture in its own pixels
    pan: vec2<f32>,               // physical pixels from the viewport's top left to the picture's
    zoom: f32,                    // physical pixels per picture pixel
    crisp: f32,                   // 1 = smooth between pixels; the zoom itself = hard pixel edges
    foreground_opacity: f32,
    background_opacity: f32,
    threshold: f32,
    softness: f32,
    mode: u32,
    flags: u32,
    foreground_ramp: u32,
    background_ramp: u32,
    split_normal: vec2<f32>,      // points to the training side
    split: f32,                   // 0..1 of the picture's extent along split_normal
    reveal: f32,
    gain: f32,
    blink: f32,                   // 0 generated, 1 training
    line_width: f32,              // physical pixels
    highlight: u32,
    change: f32,               // opacity of the score-difference layer
    ending: f32,                  // opacity of the bright-ending layer
    layer_ramp: u32,              // ramp of both
    dim: f32,                     // brightness left outside the region while it is edited
    backdrop: vec4<f32>,
    foreground_line: vec4<f32>,
    background_line: vec4<f32>,
}

const MODE_PLAIN: u32 = 0u;
const MODE_HEAT: u32 = 1u;
const MODE_ISOLATE: u32 = 2u;
const MODE_OUTLINE: u32 = 3u;
const MODE_REVEAL: u32 = 4u;
const MODE_DIFFERENCE: u32 = 5u;
const MODE_BLINK: u32 = 6u;

const HAS_GENERATED: u32 = 1u;
const HAS_TRAINING: u32 = 2u;
const HAS_MAPS: u32 = 4u;
const SPLIT: u32 = 8u;
const FORMING: u32 = 16u;
const EDITING: u32 = 32u;
const HAS_CHANGE: u32 = 64u;
const HAS_ENDING: u32 = 128u;

const HIGHLIGHT_FOREGROUND: u32 = 1u;
const HIGHLIGHT_BACKGROUND: u32 = 2u;

const DIFFERENCE_RAMP: u32 = 3u;
// What is left of a weight whose region is not the highlighted one.
const DIMMED: f32 = 0.12;

@group(0) @binding(0) var<uniform> view: Overlay;
// A picture in tiles of one size, row by row in the layers of its texture: a picture may be larger than the largest
// texture that the card takes.
struct Grid {
    size: vec2<u32>,              // of the picture
    tile: vec2<u32>,
}

// In the order in which the program writes them.
struct Grids {
    generated: Grid,
    training: Grid,
    similarity: Grid,
    matte: Grid,
    change: Grid,
    ending: Grid,
}

@group(0) @binding(1) var generated: texture_2d_array<f32>;
@group(0) @binding(2) var training: texture_2d_array<f32>;
@group(0) @binding(3) var similarity: texture_2d_array<f32>;
@group(0) @binding(5) var matte: texture_2d_array<f32>;
@group(0) @binding(6) var change: texture_2d_array<f32>;
@group(0) @binding(7) var ending: texture_2d_array<f32>;
@group(0) @binding(8) var<uniform> grids: Grids;

struct VertexOut {
    @builtin(position) position: vec4<f32>,
    @location(0) uv: vec2<f32>,
}

// One triangle over the whole viewport, uv (0, 0) at the top left.
@vertex
fn vs_main(@builtin(vertex_index) index: u32) -> VertexOut {
    let uv = vec2<f32>(f32((index << 1u) & 2u), f32(index & 2u));
    return VertexOut(vec4<f32>(uv.x * 2.0 - 1.0, 1.0 - uv.y * 2.0, 0.0, 1.0), uv);
}

fn has(flag: u32) -> bool {
    return (view.flags & flag) != 0u;
}

fn luma(c: vec3<f32>) -> f32 {
    return dot(c, vec3<f32>(0.299, 0.587, 0.114));
}

fn texel(source: texture_2d_array<f32>, grid: Grid, at: vec2<i32>) -> vec4<f32> {
    let size = grid.size;
    let tile = grid.tile;
    let p = vec2<u32>(clamp(at, vec2<i32>(0), vec2<i32>(size) - vec2<i32>(1)));
    // Most pictures are one tile, and whole divisions are dear.
    if all(size <= tile) {
        return textureLoad(source, p, 0, 0);
    }
    let cell = p / tile;
    let columns = (size.x + tile.x - 1u) / tile.x;
    return textureLoad(source, p - cell * tile, cell.y * columns + cell.x, 0);
}

// Linear between pixels, with the ramp between two of them narrowed by `crisp`.
fn sample_linear(source: texture_2d_array<f32>, grid: Grid, uv: vec2<f32>) -> vec4<f32> {
    let p = uv * vec2<f32>(grid.size) - vec2<f32>(0.5);
    let base = floor(p);
    let t = clamp((p - base - vec2<f32>(0.5)) * view.crisp + vec2<f32>(0.5), vec2<f32>(0.0), vec2<f32>(1.0));
    let at = vec2<i32>(base);
    let a = texel(source, grid, at);
    let b = texel(source, grid, at + vec2<i32>(1, 0));
    let c = texel(source, grid, at + vec2<i32>(0, 1));
    let d = texel(source, grid, at + vec2<i32>(1, 1));
    let top = a + (b - a) * t.x;
    let bottom = c + (d - c) * t.x;
    return top + (bottom - top) * t.y;
}

fn spline_weights(t: f32) -> vec4<f32> {
    let s = 1.0 - t;
    return vec4<f32>(
        s * s * s,
        3.0 * t * t * t - 6.0 * t * t + 4.0,
        3.0 * s * s * s - 6.0 * s * s + 4.0,
        t * t * t,
    ) / 6.0;
}

// Cubic B-spline: a picture that still forms is tiny, and should look soft rather than tiled.
fn sample_spline(source: texture_2d_array<f32>, grid: Grid, uv: vec2<f32>) -> vec4<f32> {
    let p = uv * vec2<f32>(grid.size) - vec2<f32>(0.5);
    let base = floor(p);
    let wx = spline_weights(p.x - base.x);
    let wy = spline_weights(p.y - base.y);
    let at = vec2<i32>(base);
    var sum = vec4<f32>(0.0);
    for (var j = 0; j < 4; j++) {
        for (var i = 0; i < 4; i++) {
            sum += texel(source, grid, at + vec2<i32>(i - 1, j - 1)) * (wx[i] * wy[j]);
        }
    }
    return sum;
}

// Stands where a picture is missing.
fn checker(pixel: vec2<f32>) -> vec3<f32> {
    let cell = vec2<i32>(floor(pixel / 8.0));
    let light = f32((cell.x + cell.y) & 1);
    return view.backdrop.rgb + (vec3<f32>(0.5) - view.backdrop.rgb) * (0.08 + 0.08 * light);
}

// How much of the foreground (x) and of the background (y) counts as copied at this place, each 0..1,
// before opacity.
fn regions(uv: vec2<f32>) -> vec2<f32> {
    if !has(HAS_MAPS) {
        return vec2<f32>(0.0);
    }
    let alike = sample_linear(similarity, grids.similarity, uv).r;
    let inside = sample_linear(matte, grids.matte, uv).r;
    let half_width = max(view.softness, 0.002) * 0.5;
    let t = clamp((alike - view.threshold + half_width) / (2.0 * half_width), 0.0, 1.0);
    let copied = t * t * (3.0 - 2.0 * t);
    var pair = vec2<f32>(copied * inside, copied * (1.0 - inside));
    if view.highlight == HIGHLIGHT_FOREGROUND {
        pair.y *= DIMMED;
    }
    if view.highlight == HIGHLIGHT_BACKGROUND {
        pair.x *= DIMMED;
    }
    return pair;
}

// One weight for modes that only ask whether a place is shown: an opacity of one half shows all of it.
fn shown(pair: vec2<f32>) -> f32 {
    return pair.x * min(view.foreground_opacity * 2.0, 1.0) + pair.y * min(view.background_opacity * 2.0, 1.0);
}

fn heat(base: vec3<f32>, uv: vec2<f32>) -> vec3<f32> {
    let pair = regions(uv) * vec2<f32>(view.foreground_opacity, view.background_opacity);
    let alike = sample_linear(similarity, grids.similarity, uv).r;
    // Grey under the colour, so that the ramp and not the picture decides the hue.
    let grey = vec3<f32>(luma(base));
    let ground = base + (grey - base) * (0.6 * min(pair.x + pair.y, 1.0));
    let with_background = ground + (ramp(view.background_ramp, alike) - ground) * pair.y;
    return with_background + (ramp(view.foreground_ramp, alike) - with_background) * pair.x;
}

// Coverage of the line where `value` crosses one half; `slope` is its change per physical pixel.
fn contour(value: f32, slope: f32) -> f32 {
    if slope < 0.002 {
        return 0.0;
    }
    let away = abs(value - 0.5) / slope;
    return 1.0 - clamp(away - view.line_width * 0.5 + 0.5, 0.0, 1.0);
}

fn outline(base: vec3<f32>, uv: vec2<f32>) -> vec3<f32> {
    let step = vec2<f32>(1.0) / (view.image * view.zoom);
    let here = regions(uv);
    let dx = regions(uv + vec2<f32>(step.x, 0.0)) - regions(uv - vec2<f32>(step.x, 0.0));
    let dy = regions(uv + vec2<f32>(0.0, step.y)) - regions(uv - vec2<f32>(0.0, step.y));
    let slope = sqrt(dx * dx + dy * dy) * 0.5;
    let around = base * (0.62 + 0.38 * min(shown(here), 1.0));
    let b = contour(here.y, slope.y) * min(view.background_opacity * 2.0, 1.0);
    let f = contour(here.x, slope.x) * min(view.foreground_opacity * 2.0, 1.0);
    let with_background = around + (view.background_line.rgb - around) * b;
    return with_background + (view.foreground_line.rgb - with_background) * f;
}

fn training_at(uv: vec2<f32>, pixel: vec2<f32>) -> vec3<f32> {
    if has(HAS_TRAINING) {
        return sample_linear(training, grids.training, uv).rgb;
    }
    return checker(pixel);
}

fn compose(uv: vec2<f32>, pixel: vec2<f32>) -> vec3<f32> {
    if !has(HAS_GENERATED) {
        return checker(pixel);
    }
    if has(FORMING) {
        return sample_spline(generated, grids.generated, uv).rgb;
    }
    let base = sample_linear(generated, grids.generated, uv).rgb;
    switch view.mode {
        case MODE_PLAIN: {
            return base;
        }
        case MODE_HEAT: {
            return heat(base, uv);
        }
        case MODE_ISOLATE: {
            let rest = vec3<f32>(luma(base) * 0.28);
            return rest + (base - rest) * min(shown(regions(uv)), 1.0);
        }
        case MODE_OUTLINE: {
            return outline(base, uv);
        }
        case MODE_REVEAL: {
            let weight = min(shown(regions(uv)), 1.0) * view.reveal;
            let rest = base + (vec3<f32>(luma(base) * 0.5) - base) * (0.7 * view.reveal);
            return rest + (training_at(uv, pixel) - rest) * weight;
        }
        case MODE_DIFFERENCE: {
            if !has(HAS_TRAINING) {
                return checker(pixel);
            }
            let signed = luma(base) - luma(sample_linear(training, grids.training, uv).rgb);
            return ramp(DIFFERENCE_RAMP, 0.5 + 0.5 * view.gain * signed);
        }
        case MODE_BLINK: {
            return base + (training_at(uv, pixel) - base) * view.blink;
        }
        default: {
            return vec3<f32>(1.0, 0.0, 1.0);
        }
    }
}

// What was recorded while the picture formed, over any mode: strong where the value is high.
fn layers(base: vec3<f32>, uv: vec2<f32>) -> vec3<f32> {
    var color = base;
    if has(HAS_CHANGE) {
        let a = sample_linear(change, grids.change, uv).r;
        color += (ramp(view.layer_ramp, a) - color) * (view.change * (0.25 + 0.75 * a));
    }
    if has(HAS_ENDING) {
        let e = sample_linear(ending, grids.ending, uv).r;
        color += (ramp(view.layer_ramp, e) - color) * (view.ending * (0.25 + 0.75 * e));
    }
    return color;
}

// The region while a person edits it: the rest darker, a line around it.
fn edited(base: vec3<f32>, uv: vec2<f32>) -> vec3<f32> {
    let step = vec2<f32>(1.0) / (view.image * view.zoom);
    let here = sample_linear(matte, grids.matte, uv).r;
    let right = sample_linear(matte, grids.matte, uv + vec2<f32>(step.x, 0.0)).r;
    let left = sample_linear(matte, grids.matte, uv - vec2<f32>(step.x, 0.0)).r;
    let down = sample_linear(matte, grids.matte, uv + vec2<f32>(0.0, step.y)).r;
    let up = sample_linear(matte, grids.matte, uv - vec2<f32>(0.0, step.y)).r;
    let dx = right - left;
    let dy = down - up;
    let slope = sqrt(dx * dx + dy * dy) * 0.5;
    let around = base * (view.dim + (1.0 - view.dim) * here);
    return around + (view.foreground_line.rgb - around) * contour(here, slope);
}

@fragment
fn fs_main(in: VertexOut) -> @location(0) vec4<f32> {
    let pixel = in.uv * view.viewport;
    let at = (pixel - view.pan) / view.zoom;
    if any(at < vec2<f32>(0.0)) || any(at >= view.image) {
        return view.backdrop;
    }
    let uv = at / view.image;
    if has(SPLIT) {
        let extent = dot(abs(view.split_normal), view.image);
        let side = dot(at - 0.5 * view.image, view.split_normal) - (view.split - 0.5) * extent;
        if side >= 0.0 {
            return vec4<f32>(training_at(uv, pixel), 1.0);
        }
    }
    var color = compose(uv, pixel);
    if has(HAS_GENERATED) && !has(FORMING) {
        color = layers(color, uv);
        if has(EDITING) {
            color = edited(color, uv);
        }
    }
    return vec4<f32>(color, 1.0);
}
