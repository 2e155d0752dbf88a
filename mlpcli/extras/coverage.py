"""Which trainings the compiled engine can run, and the numbers its loops know the parts by; imports no Numba."""

from mlpcli.nn.network import Network
from mlpcli.nn.optimizers import SGD, Adam, AdamW
from mlpcli.training.engine import Plan

IDENTITY, RELU, LEAKY_RELU, SIGMOID, TANH, SILU, MISH, SOFTMAX = range(8)
HIDDEN = {
    "identity": IDENTITY,
    "relu": RELU,
    "leaky_relu": LEAKY_RELU,
    "sigmoid": SIGMOID,
    "tanh": TANH,
    "silu": SILU,
    "mish": MISH,
}
# By loss; the output activation must be the loss's partner.
OUTPUTS = {"cross_entropy": SOFTMAX, "binary_cross_entropy": SIGMOID, "squared_error": IDENTITY}
PLAIN, ADAM, ADAMW = range(3)
OPTIMIZERS = {SGD: PLAIN, Adam: ADAM, AdamW: ADAMW}


def unsupported(network: Network, plan: Plan) -> str:
    """What of this training the compiled engine lacks, in a few words; "" where it has everything."""
    if network.members > 1:
        return "several members"
    if not network.is_plain:
        return "parts beside the layers"
    if not plan.is_plain:
        return "rates and schedules beside the learning rate"
    if network.dropout:
        return "dropout"
    if network.n_layers > 1 and network.activation not in HIDDEN:
        return f"the activation {network.activation}"
    if plan.loss.name not in OUTPUTS:
        return f"the loss {plan.loss.name}"
    if network.output_activation != plan.loss.partner:
        return f"{plan.loss.name} on {network.output_activation} outputs"
    if type(plan.optimizer) not in OPTIMIZERS:
        return f"the optimizer {plan.optimizer.name}"
    return ""
