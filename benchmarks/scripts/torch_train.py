"""CSV to model with pandas and PyTorch: TRAIN TARGET MODEL HIDDEN EPOCHS BATCH SCALE."""

import sys
from itertools import pairwise

import pandas as pd
import torch
from torch import nn

train, target, model, hidden, epochs, batch, scale = sys.argv[1:]
rows = pd.read_csv(train)
y = rows.pop(target)
numbers = rows.select_dtypes("number")
median = numbers.median()
if scale == "standardize":
    mean, deviation = numbers.mean(), numbers.std(ddof=0).replace(0.0, 1.0)
else:
    mean, deviation = 0.0 * median, 0.0 * median + 255.0
scaled = ((numbers.fillna(median) - mean) / deviation).astype("float32")
others = rows.drop(columns=numbers.columns)
inputs = pd.get_dummies(scaled.join(others), columns=list(others), dtype="float32")
X = torch.from_numpy(inputs.to_numpy())
if pd.api.types.is_float_dtype(y) or y.nunique() > 100:
    labels, n_out, cost = None, 1, nn.MSELoss()
    centre, spread = y.mean(), y.std()
    truth = torch.tensor(((y - centre) / spread).to_numpy(), dtype=torch.float32)[:, None]
else:
    codes, labels = pd.factorize(y, sort=True)
    n_out, cost, centre, spread = len(labels), nn.CrossEntropyLoss(), 0.0, 1.0
    truth = torch.from_numpy(codes)

torch.manual_seed(0)
sizes = [X.shape[1], *map(int, hidden.split(",")), n_out]
layers = [part for n_in, n_out in pairwise(sizes) for part in (nn.Linear(n_in, n_out), nn.ReLU())]
network = nn.Sequential(*layers[:-1])
optimizer = torch.optim.Adam(network.parameters(), lr=1e-3, fused=True)
for _ in range(int(epochs)):
    for chosen in torch.randperm(len(X)).split(int(batch)):
        optimizer.zero_grad()
        cost(network(X[chosen]), truth[chosen]).backward()
        optimizer.step()
table = {"numbers": list(numbers), "median": median, "mean": mean, "deviation": deviation, "inputs": list(inputs)}
answer = {"labels": None if labels is None else list(labels), "centre": centre, "spread": spread}
torch.save({"sizes": sizes, "weights": network.state_dict(), **table, **answer}, model)
