"""Byte-pair tokenizer in CLIP's format, learned from the captions of the study.

Every byte is a token, so any text can be encoded; frequent words become one token.
"""

from __future__ import annotations

import argparse
import csv
import json
from collections import Counter
from pathlib import Path

import regex
from transformers import CLIPTokenizer

import gallery

START, END = "<|startoftext|>", "<|endoftext|>"
LENGTH = 24
PIECES = regex.compile(r"'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+", regex.IGNORECASE)


def byte_alphabet() -> dict[int, str]:
    """CLIP's printable stand-in for every byte."""
    kept = [*range(33, 127), *range(161, 173), *range(174, 256)]
    table = {b: chr(b) for b in kept}
    for b in range(256):
        if b not in table:
            table[b] = chr(256 + len(table) - len(kept))
    return table


def learn(texts: list[str], merges: int = 600) -> list[tuple[str, str]]:
    """Byte-pair merges, most frequent pair first (ties by alphabet)."""
    table = byte_alphabet()
    words = Counter(word for text in texts for word in PIECES.findall(text.lower()))
    split = {}
    for word, count in words.items():
        symbols = [table[b] for b in word.encode()]
        split[(*symbols[:-1], symbols[-1] + "</w>")] = count
    found = []
    while len(found) < merges:
        pairs: Counter[tuple[str, str]] = Counter()
        for symbols, count in split.items():
            for pair in zip(symbols[:-1], symbols[1:], strict=True):
                pairs[pair] += count
        if not pairs:
            break
        best = min(pairs, key=lambda pair: (-pairs[pair], pair))
        if pairs[best] < 2:
            break
        found.append(best)
        merged = {}
        for symbols, count in split.items():
            out, i = [], 0
            while i < len(symbols):
                if tuple(symbols[i : i + 2]) == best:
                    out.append(symbols[i] + symbols[i + 1])
                    i += 2
                else:
                    out.append(symbols[i])
                    i += 1
            merged[tuple(out)] = merged.get(tuple(out), 0) + count
        split = merged
    return found


def texts(folder: Path) -> list[str]:
    """All captions (once each) and some everyday prompt words."""
    with (folder / "captions.csv").open(newline="") as file:
        captions = {row["caption"] for row in csv.DictReader(file)}
    with (folder / "prompts.csv").open(newline="") as file:
        captions |= {row["Caption"] for row in csv.DictReader(file, delimiter=";")}
    kinds = [f"a {c} {k}" for c in gallery.COLOURS for k in gallery.UNIQUE_KINDS]
    return sorted(captions) * 2 + kinds + ["a photo of a", "a drawing of the", "an oil painting with and at on under"] * 2


def build(folder: Path, target: Path) -> CLIPTokenizer:
    """Write the tokenizer files and return the tokenizer."""
    merges = learn(texts(folder))
    alphabet = list(byte_alphabet().values())
    vocabulary: dict[str, int] = {}
    for token in [*alphabet, *(c + "</w>" for c in alphabet), *("".join(pair) for pair in merges), START, END]:
        vocabulary.setdefault(token, len(vocabulary))
    target.mkdir(parents=True, exist_ok=True)
    tokenizer = CLIPTokenizer(vocab=vocabulary, merges=merges, bos_token=START, eos_token=END, pad_token=END, unk_token=END, model_max_length=LENGTH)
    tokenizer.save_pretrained(target)
    (target / "vocab.json").write_text(json.dumps(vocabulary, ensure_ascii=False))
    (target / "merges.txt").write_text("#version: 0.2\n" + "\n".join(" ".join(pair) for pair in merges) + "\n")
    special = {"bos_token": START, "eos_token": END, "pad_token": END, "unk_token": END}
    (target / "special_tokens_map.json").write_text(json.dumps(special, indent=1) + "\n")
    settings = special | {"tokenizer_class": "CLIPTokenizer", "model_max_length": LENGTH, "do_lower_case": True, "add_prefix_space": False, "errors": "replace"}
    (target / "tokenizer_config.json").write_text(json.dumps(settings, indent=1) + "\n")
    return CLIPTokenizer.from_pretrained(target)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Learn the tokenizer of the demo study.")
    parser.add_argument("--work", type=Path, required=True)
    work = parser.parse_args().work
    made = build(work / "study", work / "tokenizer")
    longest = max(texts(work / "study"), key=lambda text: len(made(text).input_ids))
    print(len(made), len(made(longest).input_ids), made.convert_ids_to_tokens(made(longest).input_ids))
    print(made("A red lighthouse", padding="max_length", max_length=LENGTH).input_ids)
