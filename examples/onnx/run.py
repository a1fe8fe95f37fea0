"""Runs an exported model in ONNX Runtime, and prints the digest that `ivit infer --digest` prints.

    ivit export model.ivit --to onnx -o model.onnx
    pip install onnxruntime pillow numpy
    python run.py model.onnx photo.jpg ...

Pixels are made as the model's file says, by Pillow, whose resampling `ivit` equals bit for bit. A JPEG or WebP decoder
other than `ivit`'s may give other pixels, and so another digest: `ivit infer --save-pixels` writes its own, which this
script takes as `pixels.bin`.
"""

import hashlib
import json
import sys

import numpy as np
import onnxruntime
from PIL import Image, ImageOps


def resized_size(rule, width, height):
    """The size to which an image is brought before the crop."""
    if rule["mode"] == "exact":
        return rule["width"], rule["height"]
    if rule["mode"] == "shortest":
        length = rule["length"]
        if width <= height:
            return length, length * height // width
        return length * width // height, length
    ratio = min(height / rule["height"], width / rule["width"])
    return round(width / ratio), round(height / ratio)


def crop_start(size, crop):
    """Where a centre crop begins; below 0 where black is added around the image."""
    return round((size - crop) / 2) if crop <= size else -((crop - size) // 2)


def read_pixels(file, recipe):
    """u8 [height, width, 3], resized and cropped."""
    width, height = recipe["size"]["width"], recipe["size"]["height"]
    if file.endswith(".bin"):
        return np.fromfile(file, np.uint8).reshape(height, width, -1)
    image = ImageOps.exif_transpose(Image.open(file)).convert("RGB")
    method = {"bicubic": Image.BICUBIC, "bilinear": Image.BILINEAR}[recipe["interpolation"]]
    image = image.resize(resized_size(recipe["resize"], *image.size), method)
    left, top = crop_start(image.width, width), crop_start(image.height, height)
    return np.asarray(image.crop((left, top, left + width, top + height)))


def main(model, *files):
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    about = session.get_modelmeta().custom_metadata_map
    recipe = json.loads(about["ivit.preprocess"])
    for file in files:
        (output,) = session.run(None, {"pixels": read_pixels(file, recipe)})
        print(hashlib.sha256(output.astype("<i4").tobytes()).hexdigest(), "", file)


if __name__ == "__main__":
    main(*sys.argv[1:])
