//! Both sets of kernels against each other, on shapes that reach every branch.

use super::*;
use crate::diffusion::{TorchRng, WeightMap};
use std::{collections::BTreeMap, path::Path};

fn random(seed: u64, shape: &[usize]) -> Tensor {
    let count = shape.iter().product();
    Tensor::from_vec(TorchRng::new(seed).randn(count), shape, &Device::Cpu).unwrap()
}

/// Layers made of random weights of the given names and shapes.
fn weights(shapes: &[(&str, &[usize])]) -> WeightMap {
    let tensors: BTreeMap<String, Tensor> = shapes
        .iter()
        .enumerate()
        .map(|(i, (name, shape))| ((*name).to_owned(), random(100 + i as u64, shape)))
        .collect();
    WeightMap::from_tensors(tensors, Path::new("memory"))
}

/// Runs a layer with plain kernels and with fast ones, alone and on pools of several sizes.
#[track_caller]
fn agree(what: &str, tolerance: f32, run: impl Fn(Compute) -> Result<Tensor> + Sync) {
    let want = run(Compute::new(Kernels::Plain)).unwrap();
    let scale = want
        .abs()
        .unwrap()
        .flatten_all()
        .unwrap()
        .max(0)
        .unwrap()
        .to_scalar::<f32>()
        .unwrap();
    for threads in [1, 2, 3] {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .unwrap();
        for parallel in [false, true] {
            let compute = Compute {
                kernels: Kernels::Fast,
                stop: None,
                parallel,
            };
            let got = pool.install(|| run(compute)).unwrap();
            assert_eq!(got.dims(), want.dims(), "{what}");
            let off = (&got - &want)
                .unwrap()
                .abs()
                .unwrap()
                .flatten_all()
                .unwrap()
                .max(0)
                .unwrap();
            let off = off.to_scalar::<f32>().unwrap();
            assert!(
                off <= tolerance * scale,
                "{what}: off by {off} of {scale} on {threads} threads"
            );
        }
    }
}

#[test]
fn convolutions_agree() {
    for (n, inputs, outputs, h, w, kernel, stride) in [
        (1, 4, 16, 8, 8, 3, 1),
        (2, 3, 1, 9, 13, 3, 1),
        (1, 5, 7, 1, 8, 3, 1),
        (3, 7, 13, 5, 17, 3, 1),
        (1, 16, 3, 40, 31, 3, 1),
        (1, 300, 5, 30, 24, 3, 1),
        (2, 8, 6, 4, 4, 3, 1),
        (1, 24, 6, 2, 2, 3, 1),
        (2, 6, 9, 1, 1, 3, 1),
        (1, 6, 8, 8, 8, 3, 2),
        (2, 5, 8, 7, 9, 3, 2),
        (2, 6, 11, 5, 3, 1, 1),
        (1, 2000, 3, 20, 20, 3, 1),
    ] {
        let map = weights(&[
            ("weight", &[outputs, inputs, kernel, kernel]),
            ("bias", &[outputs]),
        ]);
        let conv = map
            .build(|scope| Ok(Conv2d::new(scope, inputs, outputs, kernel, stride)))
            .unwrap();
        let x = random(1, &[n, inputs, h, w]);
        let what = format!("{kernel}×{kernel} {inputs}→{outputs} on {n}×{h}×{w}, stride {stride}");
        agree(&what, 1e-5, |c| conv.forward(&x, c));
        let shift = random(2, &[n, outputs]);
        let out = conv.forward(&x, Compute::new(Kernels::Plain)).unwrap();
        let residual = random(3, out.dims());
        agree(&format!("{what}, fused"), 1e-5, |c| {
            conv.forward_with(&x, Some(&shift), Some(&residual), c)
        });
    }
}

#[test]
fn linear_layers_agree_also_on_permuted_batches() {
    for (n, positions, inputs, outputs) in [(2, 77, 24, 10), (1, 1, 7, 5), (3, 16, 32, 48)] {
        let map = weights(&[("weight", &[outputs, inputs]), ("bias", &[outputs])]);
        let linear = map.build(|scope| Linear::new(scope, inputs, outputs)).unwrap();
        let x = random(1, &[n, positions, inputs]);
        let residual = random(2, &[n, positions, outputs]);
        agree("linear", 1e-5, |c| linear.forward(&x, c));
        agree("linear and residual", 1e-5, |c| {
            linear.forward_with(&x, Some(&residual), c)
        });

        // candle 0.11 multiplies transposed batches of two or more wrongly; neither path may.
        let turned = random(3, &[n, inputs, positions]).transpose(1, 2).unwrap();
        let straight = turned.contiguous().unwrap();
        for kernels in [Kernels::Plain, Kernels::Fast] {
            let compute = Compute::new(kernels);
            let a = linear.forward(&turned, compute).unwrap().flatten_all().unwrap();
            let b = linear.forward(&straight, compute).unwrap().flatten_all().unwrap();
            assert_eq!(
                a.to_vec1::<f32>().unwrap(),
                b.to_vec1::<f32>().unwrap(),
                "{kernels:?}"
            );
        }
    }
}

#[test]
fn linear_layers_between_planes_and_tokens_agree() {
    let (n, inputs, outputs, h, w) = (2, 12, 20, 3, 5);
    let map = weights(&[("weight", &[outputs, inputs]), ("bias", &[outputs])]);
    let linear = map.build(|scope| Linear::new(scope, inputs, outputs)).unwrap();
    let planes = random(1, &[n, inputs, h, w]);
    let tokens = random(2, &[n, h * w, inputs]);
    let residual = random(3, &[n, outputs, h, w]);
    agree("from planes", 1e-5, |c| linear.planes_to_tokens(&planes, c));
    agree("to planes", 1e-5, |c| {
        linear.tokens_to_planes(&tokens, &residual, c)
    });
    // And against the 1×1 convolution they stand for.
    let weight = map
        .get("weight")
        .unwrap()
        .reshape((outputs, inputs, 1, 1))
        .unwrap();
    let bias = map.get("bias").unwrap().reshape((1, outputs, 1, 1)).unwrap();
    let conv = planes
        .conv2d(&weight, 0, 1, 1, 1)
        .unwrap()
        .broadcast_add(&bias)
        .unwrap();
    let conv = conv
        .flatten_from(2)
        .unwrap()
        .transpose(1, 2)
        .unwrap()
        .contiguous()
        .unwrap();
    agree("as convolution", 1e-5, |c| {
        if c.fast() {
            linear.planes_to_tokens(&planes, c)
        } else {
            Ok(conv.clone())
        }
    });
}

#[test]
fn a_convolution_shaped_weight_serves_as_a_matrix() {
    let map = weights(&[("weight", &[4, 3, 1, 1])]);
    let linear = map.build(|scope| Linear::without_bias(scope, 3, 4)).unwrap();
    assert_eq!(
        linear
            .forward(&random(1, &[1, 2, 3]), Compute::new(Kernels::Fast))
            .unwrap()
            .dims(),
        [1, 2, 4]
    );
}

#[test]
fn normalisations_agree() {
    for (n, channels, groups, h, w) in [(2, 16, 4, 5, 7), (1, 6, 6, 1, 1), (1, 8, 1, 40, 40)] {
        let map = weights(&[("weight", &[channels]), ("bias", &[channels])]);
        let norm = map
            .build(|scope| Ok(GroupNorm::new(scope, channels, groups, 1e-5)))
            .unwrap();
        // A mean far from zero is where careless variances go wrong.
        let x = (random(1, &[n, channels, h, w]) + 3.0).unwrap();
        if h * w > 1 || channels > groups {
            agree("group norm", 2e-5, |c| norm.forward(&x, false, c));
            agree("group norm and silu", 2e-5, |c| norm.forward(&x, true, c));
        }
        let norm = map
            .build(|scope| Ok(LayerNorm::new(scope, channels, 1e-5)))
            .unwrap();
        let x = (random(2, &[n, h * w, channels]) + 3.0).unwrap();
        agree("layer norm", 2e-5, |c| norm.forward(&x, c));
    }
}

#[test]
fn upsampling_agrees_also_to_odd_sizes() {
    let x = random(1, &[2, 3, 4, 5]);
    for size in [(8, 10), (7, 9), (8, 9)] {
        agree("upsample", 0.0, |c| upsample(&x, size, c));
    }
}
