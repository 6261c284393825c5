"""Writes the weights of a GGUF file, dequantised to float32, as a Hugging Face folder: python export_model.py MODEL.gguf FOLDER"""

import importlib.util
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent))
path = pathlib.Path(__file__).parent.parent / "record-reference.py"
spec = importlib.util.spec_from_file_location("record_reference", path)
record_reference = importlib.util.module_from_spec(spec)
spec.loader.exec_module(record_reference)

model, _ = record_reference.load_model(sys.argv[1])
model.save_pretrained(sys.argv[2])
