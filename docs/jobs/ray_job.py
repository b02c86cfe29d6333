"""Draws a study on a Ray cluster: every task is one part of the pictures.

    ray job submit --working-dir docs/jobs -- python ray_job.py STUDY /shared/RUN

STUDY and RUN lie on a folder that all nodes mount; `pentimento` is installed on them. Then, anywhere:

    pentimento merge /shared/RUN --out JOINED
"""

import argparse
import os
import subprocess

import ray


def command(study: str, run: str, part: int, parts: int, cpus: int) -> list[str]:
    """What one task runs."""
    return [
        "pentimento", "scan", study, "--seeds", "0..20",
        "--shard", f"{part}/{parts}",
        "--threads", str(cpus), "--quiet", "--out", run,
    ]  # fmt: skip


def main() -> None:
    arguments = argparse.ArgumentParser()
    arguments.add_argument("study")
    arguments.add_argument("run", help="a folder that all nodes can write to")
    arguments.add_argument("--parts", type=int, default=16)
    arguments.add_argument("--cpus", type=int, default=8, help="threads of a task")
    asked = arguments.parse_args()

    ray.init()

    # A task whose node is lost, or whose program fails, is started again and goes on where it stopped.
    @ray.remote(num_cpus=asked.cpus, max_retries=5, retry_exceptions=True)
    def draw(part: int) -> int:
        own = dict(os.environ, PENTIMENTO_CACHE="/tmp/pentimento-cache")
        subprocess.run(command(asked.study, asked.run, part, asked.parts, asked.cpus), env=own, check=True)
        return part

    waiting = [draw.remote(part) for part in range(1, asked.parts + 1)]
    while waiting:
        done, waiting = ray.wait(waiting)
        for part in ray.get(done):
            print(f"part {part} of {asked.parts} is drawn", flush=True)


if __name__ == "__main__":
    main()
