"""U2-Net-P, the small U2-Net (Qin et al., Pattern Recognition 2020), with the authors' parameter names."""

from __future__ import annotations

from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import nn

MID, OUT = 16, 64


def upsample(x: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    """Bilinear resize to the size of another map."""
    return F.interpolate(x, size=like.shape[2:], mode="bilinear", align_corners=False)


class Unit(nn.Module):
    """Convolution, batch normalisation, ReLU."""

    def __init__(self, inside: int, outside: int, dilation: int = 1) -> None:
        super().__init__()
        self.conv_s1 = nn.Conv2d(inside, outside, 3, padding=dilation, dilation=dilation)
        self.bn_s1 = nn.BatchNorm2d(outside)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Apply the unit."""
        return F.relu(self.bn_s1(self.conv_s1(x)))


class Block(nn.Module):
    """Residual U-block of ``depth`` levels; ``flat`` widens the view by dilation instead of pooling."""

    def __init__(self, depth: int, inside: int, flat: bool = False) -> None:
        super().__init__()
        self.depth, self.flat = depth, flat
        step = [2 ** max(0, level - 1) if flat else 1 for level in range(depth + 1)]
        self.rebnconvin = Unit(inside, OUT)
        for level in range(1, depth):
            self.add_module(f"rebnconv{level}", Unit(OUT if level == 1 else MID, MID, step[level]))
        self.add_module(f"rebnconv{depth}", Unit(MID, MID, step[depth] if flat else 2))
        for level in range(depth - 1, 0, -1):
            self.add_module(f"rebnconv{level}d", Unit(2 * MID, OUT if level == 1 else MID, step[level]))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Apply the block."""
        entry = self.rebnconvin(x)
        kept, flow = [], entry
        for level in range(1, self.depth):
            flow = self.get_submodule(f"rebnconv{level}")(flow)
            kept.append(flow)
            if not self.flat and level < self.depth - 1:
                flow = F.max_pool2d(flow, 2, 2, ceil_mode=True)
        flow = self.get_submodule(f"rebnconv{self.depth}")(flow)
        for level in range(self.depth - 1, 0, -1):
            skip = kept[level - 1]
            flow = flow if flow.shape == skip.shape else upsample(flow, skip)
            flow = self.get_submodule(f"rebnconv{level}d")(torch.cat([flow, skip], 1))
        return flow + entry


class U2NetP(nn.Module):
    """The network; returns the logits of the fused map and of the six side maps."""

    def __init__(self) -> None:
        super().__init__()
        self.stage1 = Block(7, 3)
        self.stage2 = Block(6, OUT)
        self.stage3 = Block(5, OUT)
        self.stage4 = Block(4, OUT)
        self.stage5 = Block(4, OUT, flat=True)
        self.stage6 = Block(4, OUT, flat=True)
        self.stage5d = Block(4, 2 * OUT, flat=True)
        self.stage4d = Block(4, 2 * OUT)
        self.stage3d = Block(5, 2 * OUT)
        self.stage2d = Block(6, 2 * OUT)
        self.stage1d = Block(7, 2 * OUT)
        for number in range(1, 7):
            self.add_module(f"side{number}", nn.Conv2d(OUT, 1, 3, padding=1))
        self.outconv = nn.Conv2d(6, 1, 1)

    def forward(self, x: torch.Tensor) -> list[torch.Tensor]:
        """Fused logits first, then the side maps from fine to coarse."""
        maps, flow = [], x
        for number in range(1, 7):
            flow = self.get_submodule(f"stage{number}")(flow)
            maps.append(flow)
            if number < 6:
                flow = F.max_pool2d(flow, 2, 2, ceil_mode=True)
        decoded = [maps[5]]
        for number in range(5, 0, -1):
            skip = maps[number - 1]
            flow = torch.cat([upsample(decoded[0], skip), skip], 1)
            decoded.insert(0, self.get_submodule(f"stage{number}d")(flow))
        sides = [upsample(self.get_submodule(f"side{n}")(d), x) for n, d in enumerate(decoded, 1)]
        return [self.outconv(torch.cat(sides, 1)), *sides]


def segmenter(folder: Path) -> U2NetP:
    """The exported segmenter."""
    model = U2NetP()
    tensors = {name: value.float() for name, value in load_file(folder / "model.safetensors").items()}
    missing, unexpected = model.load_state_dict(tensors, strict=False)
    if unexpected or any(not name.endswith("num_batches_tracked") for name in missing):
        raise ValueError(f"segmenter tensors do not fit: {missing} {unexpected}")
    return model
