// Where two pictures agree: the map of src/similarity/local_map.rs, made of two 512 × 512 textures.
// Three passes, run in this order; tests/shaders.rs compares the result with the processor's.

const SIDE: u32 = 512u;
const SCALES: u32 = 4u;              // scales 1 to 4; scale 0 only adds noise
const PIXELS: u32 = 87040u;          // of all four scales: 256² + 128² + 64² + 32²
const TAPS: u32 = 11u;
const MARGIN: i32 = 5;
const TILE: u32 = 16u;
const REACH: u32 = 26u;              // a tile with its margin
// What is subtracted before squares are formed, so that variances keep their precision.
const CENTRE: f32 = 0.5;
const C1: f32 = 1e-4;
const C2: f32 = 9e-4;

@group(0) @binding(0) var first: texture_2d<f32>;
@group(0) @binding(1) var second: texture_2d<f32>;
@group(0) @binding(2) var matte: texture_2d<f32>;
// A value of each picture: one colour after the other, in each one scale after the other.
@group(0) @binding(3) var<storage, read_write> values: array<vec2<f32>>;
@group(0) @binding(4) var<storage, read_write> agreement: array<f32>;
@group(0) @binding(5) var map: texture_storage_2d<rgba8unorm, write>;   // r = similarity, g = matte

// Where a scale begins.
fn start_of(scale: u32) -> u32 {
    var at = 0u;
    for (var s = 1u; s < scale; s++) {
        at += (SIDE >> s) * (SIDE >> s);
    }
    return at;
}

fn keep(scale: u32, at: vec2<u32>, a: vec3<f32>, b: vec3<f32>) {
    let place = start_of(scale) + at.y * (SIDE >> scale) + at.x;
    for (var c = 0u; c < 3u; c++) {
        values[c * PIXELS + place] = vec2<f32>(a[c], b[c]);
    }
}

fn block_mean(source: texture_2d<f32>, at: vec2<u32>) -> vec3<f32> {
    let p = vec2<i32>(at * 2u);
    return 0.25 * (textureLoad(source, p, 0).rgb
        + textureLoad(source, p + vec2<i32>(1, 0), 0).rgb
        + textureLoad(source, p + vec2<i32>(0, 1), 0).rgb
        + textureLoad(source, p + vec2<i32>(1, 1), 0).rgb);
}

var<workgroup> block_first: array<vec3<f32>, 64>;
var<workgroup> block_second: array<vec3<f32>, 64>;

// A group makes 8 × 8 values of scale 1, and of them everything down to one value of scale 4.
@compute @workgroup_size(8, 8)
fn halve(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_id) thread: vec3<u32>) {
    let here = thread.y * 8u + thread.x;
    let at = group.xy * 8u + thread.xy;
    var a = block_mean(first, at);
    var b = block_mean(second, at);
    keep(1u, at, a, b);
    block_first[here] = a;
    block_second[here] = b;
    for (var scale = 2u; scale <= SCALES; scale++) {
        let side = 16u >> scale;
        let inside = all(thread.xy < vec2<u32>(side));
        workgroupBarrier();
        if inside {
            let corner = thread.y * 16u + thread.x * 2u;
            a = 0.25 * (block_first[corner] + block_first[corner + 1u] + block_first[corner + 8u] + block_first[corner + 9u]);
            b = 0.25 * (block_second[corner] + block_second[corner + 1u] + block_second[corner + 8u] + block_second[corner + 9u]);
        }
        workgroupBarrier();
        if inside {
            block_first[here] = a;
            block_second[here] = b;
            keep(scale, group.xy * side + thread.xy, a, b);
        }
    }
}

// The Gaussian of σ = 1.5, normalised.
fn weight(tap: u32) -> f32 {
    var w = array<f32, 6>(0.00102838, 0.00759876, 0.03600077, 0.10936069, 0.21300554, 0.26601172);
    return w[min(tap, TAPS - 1u - tap)];
}

// Mirrored at the edges without repeating them.
fn mirrored(i: i32, side: i32) -> u32 {
    let j = abs(i);
    return u32(select(j, 2 * (side - 1) - j, j >= side));
}

var<workgroup> tile: array<vec2<f32>, 676>;
var<workgroup> row_powers: array<vec4<f32>, 416>;    // means and mean squares of both, across
var<workgroup> row_products: array<f32, 416>;

// A group makes 16 × 16 values of luminance·contrast·structure, the mean over the colours, of one scale.
@compute @workgroup_size(16, 16)
fn agree(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_id) thread: vec3<u32>) {
    var number = group.x;
    var scale = 1u;
    for (; scale < SCALES; scale++) {
        let tiles = SIDE / TILE >> scale;
        if number < tiles * tiles {
            break;
        }
        number -= tiles * tiles;
    }
    let side = SIDE >> scale;
    let tiles = side / TILE;
    let origin = vec2<u32>(number % tiles, number / tiles) * TILE;
    let start = start_of(scale);
    let here = thread.y * TILE + thread.x;
    var total = 0.0;
    for (var colour = 0u; colour < 3u; colour++) {
        for (var i = here; i < REACH * REACH; i += TILE * TILE) {
            let p = vec2<i32>(origin + vec2<u32>(i % REACH, i / REACH)) - vec2<i32>(MARGIN);
            let at = mirrored(p.y, i32(side)) * side + mirrored(p.x, i32(side));
            tile[i] = values[colour * PIXELS + start + at] - vec2<f32>(CENTRE);
        }
        workgroupBarrier();
        for (var i = here; i < REACH * TILE; i += TILE * TILE) {
            var powers = vec4<f32>(0.0);
            var product = 0.0;
            for (var k = 0u; k < TAPS; k++) {
                let v = tile[i / TILE * REACH + i % TILE + k];
                powers += weight(k) * vec4<f32>(v, v * v);
                product += weight(k) * v.x * v.y;
            }
            row_powers[i] = powers;
            row_products[i] = product;
        }
        workgroupBarrier();
        var powers = vec4<f32>(0.0);
        var product = 0.0;
        for (var k = 0u; k < TAPS; k++) {
            let corner = (thread.y + k) * TILE + thread.x;
            powers += weight(k) * row_powers[corner];
            product += weight(k) * row_products[corner];
        }
        let variances = max(powers.zw - powers.xy * powers.xy, vec2<f32>(0.0));
        let covariance = product - powers.x * powers.y;
        let mean = powers.xy + vec2<f32>(CENTRE);
        let top = (2.0 * covariance + C2) * (2.0 * mean.x * mean.y + C1);
        let bottom = (variances.x + variances.y + C2) * (dot(mean, mean) + C1);
        total += min(top / bottom, 1.0);
    }
    agreement[start + (origin.y + thread.y) * side + origin.x + thread.x] = total / 3.0;
}

// Between pixels of a scale, pixel centres corresponding, edges held.
fn between(scale: u32, uv: vec2<f32>) -> f32 {
    let side = SIDE >> scale;
    let p = clamp(uv * f32(side) - vec2<f32>(0.5), vec2<f32>(0.0), vec2<f32>(f32(side - 1u)));
    let low = vec2<u32>(p);
    let high = min(low + vec2<u32>(1u), vec2<u32>(side - 1u));
    let t = p - vec2<f32>(low);
    let start = start_of(scale);
    let upper = mix(agreement[start + low.y * side + low.x], agreement[start + low.y * side + high.x], t.x);
    let lower = mix(agreement[start + high.y * side + low.x], agreement[start + high.y * side + high.x], t.x);
    return mix(upper, lower, t.y);
}

// The mean over the scales, in the map's own size, beside the matte at the nearest pixel.
@compute @workgroup_size(16, 16)
fn combine(@builtin(global_invocation_id) at: vec3<u32>) {
    let size = textureDimensions(map);
    if any(at.xy >= size) {
        return;
    }
    let uv = (vec2<f32>(at.xy) + vec2<f32>(0.5)) / vec2<f32>(size);
    var total = 0.0;
    for (var scale = 1u; scale <= SCALES; scale++) {
        total += between(scale, uv);
    }
    let foreground = textureLoad(matte, at.xy * textureDimensions(matte) / size, 0).r;
    textureStore(map, at.xy, vec4<f32>(clamp(total / f32(SCALES), 0.0, 1.0), foreground, 0.0, 1.0));
}
