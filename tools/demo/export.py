"""Writes the study: gallery, mattes, tokenizer, model, segmenter, settings.

Every file is written under a temporary name and renamed, so a reader never sees half
of one. Weights are stored in half precision; the difference is measured and printed.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from PIL import Image
from safetensors.torch import load_file, save_file
from transformers import CLIPTextModel

import gallery
from common import load_checkpoint, one_thread
from train_segmenter import predict
from train_unet import scheduler
from u2netp import segmenter

INDEX = {
    "_class_name": "StableDiffusionPipeline",
    "_diffusers_version": "0.42.1",
    "feature_extractor": [None, None],
    "image_encoder": [None, None],
    "requires_safety_checker": False,
    "safety_checker": [None, None],
    "scheduler": ["diffusers", "DDIMScheduler"],
    "text_encoder": ["transformers", "CLIPTextModel"],
    "tokenizer": ["transformers", "CLIPTokenizer"],
    "unet": ["diffusers", "UNet2DConditionModel"],
    "vae": ["diffusers", "AutoencoderKL"],
}

SETTINGS = """\
format = 1
name = "Demo study"

[model]
path = "model"

[gallery]
path = "gallery"
captions = "captions.csv"
mattes = "mattes"

[segmenter]
path = "segmenter"

[prompts]
path = "prompts.csv"

[sampling]
steps = {steps}
guidance = {guidance}
width = 128
height = 128
scheduler = "ddim"
seeds = "0..4"

[thresholds]
foreground = {foreground}
background = {background}
arithmetic = "corrected"
"""


def copy(source: Path, target: Path) -> None:
    """Copy a file through a temporary name."""
    gallery.write(target, source.read_bytes())


def halves(tensors: dict[str, torch.Tensor], path: Path) -> None:
    """Store tensors in half precision."""
    path.parent.mkdir(parents=True, exist_ok=True)
    kept = {name: value.detach().half().contiguous() for name, value in tensors.items() if not name.endswith("num_batches_tracked")}
    temporary = path.with_name("part-" + path.name)
    save_file(kept, temporary, metadata={"format": "pt"})
    temporary.replace(path)


def module(source: Path, target: Path, name: str, prefix: str = "") -> None:
    """A diffusers or transformers folder: configuration without local paths, weights in halves.

    ``prefix`` is put before every name: recent versions of transformers leave out the
    ``text_model.`` that the text encoders of Stable Diffusion carry.
    """
    config = json.loads((source / "config.json").read_text())
    config.pop("_name_or_path", None)
    gallery.write(target / "config.json", (json.dumps(config, indent=2, sort_keys=True) + "\n").encode())
    stored = next(source.glob("*.safetensors"))
    halves({n if n.startswith(prefix) else prefix + n: v for n, v in load_file(stored).items()}, target / name)


def export_gallery(work: Path, study: Path) -> None:
    """Gallery, exact mattes, captions, prompts; gallery mattes start as the exact ones."""
    for folder in ("gallery", "truth"):
        for file in sorted((work / "study" / folder).iterdir()):
            copy(file, study / folder / file.name)
    for file in ("captions.csv", "prompts.csv"):
        copy(work / "study" / file, study / file)
    for file in (work / "study" / "truth").iterdir():
        if not (study / "mattes" / file.name).exists():
            copy(file, study / "mattes" / file.name)


def export_model(work: Path, study: Path) -> None:
    """The pipeline in the layout of diffusers."""
    model, vae = study / "model", work / "vae-fine"
    for file in sorted((work / "tokenizer").iterdir()):
        copy(file, model / "tokenizer" / file.name)
    module(work / "snapshot" / "text_encoder", model / "text_encoder", "model.safetensors", "text_model.")
    module(work / "snapshot" / "unet", model / "unet", "diffusion_pytorch_model.safetensors")
    module(vae if vae.exists() else work / "vae", model / "vae", "diffusion_pytorch_model.safetensors")
    config = dict(scheduler().config) | {"_class_name": "DDIMScheduler", "_diffusers_version": INDEX["_diffusers_version"]}
    config.pop("_use_default_values", None)
    gallery.write(model / "scheduler" / "scheduler_config.json", (json.dumps(config, indent=2, sort_keys=True) + "\n").encode())
    gallery.write(model / "model_index.json", (json.dumps(INDEX, indent=2) + "\n").encode())


def export_segmenter(work: Path, study: Path) -> None:
    """The segmenter."""
    state = load_checkpoint(work / "segmenter.pt")
    if state is None:
        return
    halves(state["model"], study / "segmenter" / "model.safetensors")
    config = {"architecture": "u2netp", "size": 128, "mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225], "scale": "255"}
    gallery.write(study / "segmenter" / "config.json", (json.dumps(config, indent=1) + "\n").encode())


def export_mattes(study: Path) -> None:
    """The mattes the exported segmenter makes of the gallery."""
    network = segmenter(study / "segmenter")
    shown = gallery.load(study)
    for file, matte in zip(shown.files, predict(network, shown.images), strict=True):
        size = Image.open(study / "gallery" / file).size
        full = Image.fromarray(matte).resize(size, Image.Resampling.LANCZOS)
        gallery.write_matte(study / "mattes" / f"{Path(file).stem}.png", np.asarray(full))


@torch.no_grad()
def half_precision_cost(work: Path, study: Path) -> dict[str, float]:
    """Largest difference the half-precision weights make: decoded pictures and predicted noise."""
    fine = work / "vae-fine"
    latents = torch.from_numpy(np.load(work / "latents.npy"))[::90]
    result = {}
    full = AutoencoderKL.from_pretrained(fine if fine.exists() else work / "vae")
    half = AutoencoderKL.from_pretrained(study / "model" / "vae", torch_dtype=torch.float32)
    result["decoder (8-bit steps)"] = 127.5 * float((full.decode(latents).sample.clamp(-1, 1) - half.decode(latents).sample.clamp(-1, 1)).abs().max())
    a = CLIPTextModel.from_pretrained(work / "snapshot" / "text_encoder")
    b = CLIPTextModel.from_pretrained(study / "model" / "text_encoder", torch_dtype=torch.float32)
    ids = torch.arange(24)[None] + 300
    ta, tb = a(input_ids=ids).last_hidden_state, b(input_ids=ids).last_hidden_state
    u = UNet2DConditionModel.from_pretrained(work / "snapshot" / "unet")
    v = UNet2DConditionModel.from_pretrained(study / "model" / "unet", torch_dtype=torch.float32)
    x, t = latents[:4], torch.tensor([50, 300, 600, 950])
    result["U-Net output (latent units)"] = float((u(x, t, ta.expand(4, -1, -1)).sample - v(x, t, tb.expand(4, -1, -1)).sample).abs().max())
    return {name: round(value, 5) for name, value in result.items()}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Export the demo study.")
    parser.add_argument("study", type=Path)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--parts", default="gallery,model,segmenter,mattes,settings")
    parser.add_argument("--steps", type=int, default=25)
    parser.add_argument("--guidance", type=float, default=4.0)
    parser.add_argument("--foreground", type=float, default=0.83)
    parser.add_argument("--background", type=float, default=0.77)
    options = parser.parse_args()
    one_thread()
    parts = options.parts.split(",")
    if "gallery" in parts:
        export_gallery(options.work, options.study)
    if "model" in parts:
        export_model(options.work, options.study)
        print(half_precision_cost(options.work, options.study))
    if "segmenter" in parts:
        export_segmenter(options.work, options.study)
    if "mattes" in parts:
        export_mattes(options.study)
    if "settings" in parts:
        text = SETTINGS.format(steps=options.steps, guidance=options.guidance, foreground=options.foreground, background=options.background)
        gallery.write(options.study / "study.toml", text.encode())
