"""The known answer, measured by the program itself.

Reads the run folder that ``pentimento scan assets/demo --seeds 0..10 --out RUN`` leaves
(own generation, own segmenter, corrected arithmetic) and writes ``evaluation.json`` for
the model card: classes and score ranges per kind of prompt.
"""

from __future__ import annotations

import argparse
import csv
import json
import tomllib
from collections import Counter, defaultdict
from pathlib import Path

import numpy as np

from evaluate import class_of


def summarize(run: Path, study: Path) -> dict[str, object]:
    """Counts and score ranges; the verdict comes from the best match, as in the window."""
    thresholds = tomllib.loads((study / "study.toml").read_text())["thresholds"]
    with (study / "prompts.csv").open(newline="") as file:
        prompts = list(csv.DictReader(file, delimiter=";"))
    classes: dict[str, Counter[str]] = defaultdict(Counter)
    scores: dict[str, list[tuple[float, float]]] = defaultdict(list)
    seeds = set()
    for line in (run / "generations.jsonl").read_text().splitlines():
        record = json.loads(line)
        prompt = prompts[record["key"]["prompt"]]
        seeds.add(record["key"]["seed"])
        name = prompt["group"] if prompt["note"] == "planned" else f"{prompt['group']} {prompt['note']}"
        best = record["matches"][0]["scores"]
        pair = (best["foreground"] or 0.0, best["background"] or 0.0)
        classes[name][class_of(*pair, thresholds)] += 1
        scores[name].append(pair)
    spans = {}
    for name, pairs in scores.items():
        spread = np.percentile(np.array(pairs), [0, 50, 100], axis=0).round(3)
        spans[name] = {"foreground 0/50/100": spread[:, 0].tolist(), "background 0/50/100": spread[:, 1].tolist()}
    return {"seeds": len(seeds), "thresholds": thresholds, "classes": {n: dict(c) for n, c in classes.items()}, "scores": spans}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Sum up a scan of the demo study.")
    parser.add_argument("run", type=Path, help="run folder of pentimento scan")
    parser.add_argument("study", type=Path)
    parser.add_argument("--work", type=Path, required=True)
    options = parser.parse_args()
    summary = summarize(options.run, options.study)
    (options.work / "evaluation.json").write_text(json.dumps(summary, indent=1) + "\n")
    print(json.dumps(summary["classes"], indent=1))
