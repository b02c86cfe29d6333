"""Push pictures into a running Pentimento window as they are made. Protocol: docs/live.md.

    from pentimento_live import Live

    with Live() as window:                      # finds the window of this user on this machine
        window.push(prompt, seed, image)        # a PIL image, or the bytes of an encoded one

With diffusers, `callback_on_step_end=window.steps(pipe, prompt, seed, total)` also shows the picture forming.
"""

import io
import json
import os
import pathlib
import socket
import sys


class LiveError(RuntimeError):
    """The window refused, or there is none."""


def data_folder() -> pathlib.Path:
    """The program's data folder of this user."""
    if named := os.environ.get("PENTIMENTO_DATA"):
        return pathlib.Path(named)
    home = pathlib.Path.home()
    if sys.platform == "darwin":
        return home / "Library/Application Support/pentimento"
    if sys.platform == "win32":
        return pathlib.Path(os.environ["APPDATA"]) / "pentimento" / "data"
    return pathlib.Path(os.environ.get("XDG_DATA_HOME", home / ".local/share")) / "pentimento"


class Live:
    """A connection to the window."""

    def __init__(self, address: str | None = None, token: str | None = None):
        if address is None or token is None:
            file = data_folder() / "live.json"
            if not file.is_file():
                raise LiveError(f"{file} is not there: choose “Listen for pictures” in the window first")
            said = json.loads(file.read_text())
            address, token = address or said["address"], token or said["token"]
        host, _, port = address.rpartition(":")
        try:
            self._socket = socket.create_connection((host, int(port)), timeout=60)
        except OSError as error:
            raise LiveError(f"nothing listens on {address}: {error}") from error
        self._answers = self._socket.makefile("r", encoding="utf-8")
        self._say({"pentimento": 1, "token": token})

    def push(self, prompt: str, seed: int, image, noise_norm=None) -> None:
        """A finished picture: a PIL image or encoded bytes. `noise_norm`: one number per step."""
        self._picture({"prompt": prompt, "seed": seed}, image, noise_norm, "PNG")

    def still(self, prompt: str, seed: int, step: int, steps: int, image, noise_norm=None) -> None:
        """A picture that still forms; step counts from 1."""
        about = {"prompt": prompt, "seed": seed, "step": step, "steps": steps}
        self._picture(about, image, noise_norm, "PNG")

    def steps(self, pipe, prompt: str, seed: int, total: int):
        """A `callback_on_step_end` for a diffusers pipeline that draws one picture: shows the latents' first three
        channels, stretched, after every step."""

        def callback(_pipe, index, _timestep, values):
            from PIL import Image

            latents = values["latents"][0, :3].float().cpu()
            low, high = latents.amin(), latents.amax()
            pixels = ((latents - low) / (high - low + 1e-8) * 255).byte().permute(1, 2, 0).numpy()
            self.still(prompt, seed, index + 1, total, Image.fromarray(pixels))
            return values

        return callback

    def close(self) -> None:
        """Ends the connection."""
        self._socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def _picture(self, about: dict, image, noise_norm, kind: str) -> None:
        if not isinstance(image, (bytes, bytearray)):
            buffer = io.BytesIO()
            image.save(buffer, kind)
            image = buffer.getvalue()
        if noise_norm is not None:
            about["noise_norm"] = noise_norm
        self._say(about | {"bytes": len(image)}, image)

    def _say(self, line: dict, payload: bytes = b"") -> None:
        self._socket.sendall(json.dumps(line).encode() + b"\n" + bytes(payload))
        answer = self._answers.readline()
        if not answer:
            raise LiveError("the window closed the connection")
        if not (answer := json.loads(answer)).get("ok"):
            raise LiveError(answer.get("error", "refused"))
