"""What a model that memorized nothing would score: the null of the thresholds.

Fresh drawings with exact mattes stand for a perfect generalising model. Each is
matched like a generated picture (the one gallery row with the largest mean score):

* ``unique``: fresh pictures of captions in the gallery and of held-out combinations,
* ``printed``: fresh objects before the four fixed backgrounds,
* ``leave-one-out``: unique gallery pictures against all others.

The groups that should be recognised are scored the same way against their siblings
(a foreground member without its own row, a verbatim copy without its own row).
Thresholds are chosen from these numbers alone, never from model outputs.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np

import gallery
from practice import pictures
from scenes import PRINTED, rng_for
from scorer import Searcher

POINTS = (5, 25, 50, 75, 95, 100)


def fresh(count: int) -> dict[str, list[gallery.Item]]:
    """Fresh scenes: unique (seen and unseen combinations) and printed."""
    combos = gallery.combinations()
    rng = rng_for("null")
    unique = [gallery.unique_item(f"null/{i}", *combos[int(k)]) for i, k in enumerate(rng.permutation(len(combos))[:count])]
    kinds, places = list(PRINTED), list(gallery.BACKGROUND)
    printed = [gallery.printed_item(f"null/{i}", kinds[i % len(kinds)], places[i % len(places)]) for i in range(count)]
    return {"unique": unique, "printed": printed}


def measure(folder: Path, count: int, siblings: bool) -> dict[str, np.ndarray]:
    """Foreground and background score of the matched row, per group."""
    shown = gallery.load(folder)
    search = Searcher(shown.images, shown.mattes)
    result: dict[str, list[tuple[float, float]]] = {}
    for name, items in fresh(count).items():
        for image, matte in zip(*pictures(items), strict=True):
            result.setdefault(name, []).append(search.nearest(image, matte)[1:])
    if siblings:
        rows = {group: np.flatnonzero(shown.groups == group) for group in ("NM", "FM", "BM", "VM")}
        for group, name in (("NM", "leave-one-out"), ("FM", "foreground sibling"), ("BM", "background sibling"), ("VM", "verbatim copy")):
            for row in rows[group][:: max(1, len(rows[group]) // count)]:
                result.setdefault(name, []).append(search.nearest(shown.images[row], shown.mattes[row], {int(row)})[1:])
    return {name: np.array(values) for name, values in result.items()}


def report(scores: dict[str, np.ndarray], foreground: float, background: float) -> dict:
    """Percentiles and class shares for a pair of thresholds."""
    rows = {}
    for name, values in scores.items():
        f, b = values.T
        rows[name] = {
            "n": len(values),
            "foreground": [round(float(v), 3) for v in np.percentile(f, POINTS)],
            "background": [round(float(v), 3) for v in np.percentile(b, POINTS)],
            "VM": round(float(np.mean((f >= foreground) & (b >= background))), 3),
            "FM": round(float(np.mean((f >= foreground) & (b < background))), 3),
            "BM": round(float(np.mean((f < foreground) & (b >= background))), 3),
            "NM": round(float(np.mean((f < foreground) & (b < background))), 3),
        }
    return {"percentiles": POINTS, "thresholds": {"foreground": foreground, "background": background}, "groups": rows}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Measure the null of the thresholds.")
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--count", type=int, default=48)
    parser.add_argument("--foreground", type=float, default=0.83)
    parser.add_argument("--background", type=float, default=0.77)
    parser.add_argument("--siblings", action="store_true")
    options = parser.parse_args()
    found = measure(options.work / "study", options.count, options.siblings)
    np.savez(options.work / "null.npz", **found)
    text = report(found, options.foreground, options.background)
    (options.work / "null.json").write_text(json.dumps(text, indent=1) + "\n")
    for name, row in text["groups"].items():
        print(name, row)
