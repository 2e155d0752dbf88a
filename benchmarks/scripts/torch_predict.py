"""CSV to CSV with the model of torch_train.py: MODEL INPUT OUTPUT TARGET."""

import sys
from itertools import pairwise

import numpy as np
import pandas as pd
import torch
from torch import nn

model, source, output, target = sys.argv[1:]
saved = torch.load(model, weights_only=False)
layers = [part for n_in, n_out in pairwise(saved["sizes"]) for part in (nn.Linear(n_in, n_out), nn.ReLU())]
network = nn.Sequential(*layers[:-1])
network.load_state_dict(saved["weights"])
rows = pd.read_csv(source).drop(columns=target, errors="ignore")
scaled = ((rows[saved["numbers"]].fillna(saved["median"]) - saved["mean"]) / saved["deviation"]).astype("float32")
others = rows.drop(columns=saved["numbers"])
inputs = pd.get_dummies(scaled.join(others), columns=list(others), dtype="float32")
inputs = inputs.reindex(columns=saved["inputs"], fill_value=np.float32(0.0))
with torch.inference_mode():
    z = network(torch.from_numpy(inputs.to_numpy()))
if saved["labels"] is None:
    answers = z[:, 0].numpy() * saved["spread"] + saved["centre"]
else:
    answers = np.array(saved["labels"])[z.argmax(1).numpy()]
pd.DataFrame({target: answers}).to_csv(output, index=False)
