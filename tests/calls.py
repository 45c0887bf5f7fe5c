"""A good call of each layer: what the tests of refusals damage."""

import numpy as np

from gradjury import impl
from gradjury.impl import (
    Add,
    AvgPool2d,
    Conv2d,
    CrossEntropyLoss,
    Flatten,
    LeakyReLU,
    Linear,
    LogSoftmax,
    MaxPool2d,
    MSELoss,
    Multiply,
    ReLU,
    Sigmoid,
    Softmax,
    Tanh,
)
from gradjury.properties.contracts.transformer_layer import parameters


def ones(*shape):
    return np.ones(shape)


def ids(*shape, fill=0):
    return np.full(shape, fill)


def cell(gates, suffix=""):
    """The parameters of a recurrent cell from 3 numbers to 2."""
    shapes = {"weight_ih": (3,), "weight_hh": (2,), "bias_ih": (), "bias_hh": ()}
    return {name + suffix: ones(2 * gates, *columns) for name, columns in shapes.items()}


def learned(e, hidden, attentions, prefix=""):
    """The parameters of a layer of a transformer."""
    return {
        f"{prefix}{name}": ones(*spec.shape)
        for name, spec in parameters({"d_model": e, "dim_feedforward": hidden}, attentions).items()
    }


SELF, BOTH = ("self_attn",), ("self_attn", "multihead_attn")
NORM = {"norm.weight": ones(4), "norm.bias": ones(4)}

# A good call of each layer.
GOOD = {
    "AdaptiveAvgPool1d": (impl.AdaptiveAvgPool1d(2), {"x": ones(1, 2, 4)}),
    "AdaptiveAvgPool2d": (impl.AdaptiveAvgPool2d(2), {"x": ones(1, 2, 4, 4)}),
    "AdaptiveAvgPool3d": (impl.AdaptiveAvgPool3d(2), {"x": ones(1, 2, 4, 4, 4)}),
    "AdaptiveMaxPool1d": (impl.AdaptiveMaxPool1d(2), {"x": ones(1, 2, 4)}),
    "AdaptiveMaxPool2d": (impl.AdaptiveMaxPool2d(2), {"x": ones(1, 2, 4, 4)}),
    "AdaptiveMaxPool3d": (impl.AdaptiveMaxPool3d(2), {"x": ones(1, 2, 4, 4, 4)}),
    "Add": (Add(), {"x": ones(2, 3), "other": ones(3)}),
    "AvgPool1d": (impl.AvgPool1d(2), {"x": ones(1, 2, 4)}),
    "AvgPool3d": (impl.AvgPool3d(2), {"x": ones(1, 2, 4, 4, 4)}),
    "AffineGrid": (impl.AffineGrid((2, 1, 3, 4)), {"theta": ones(2, 2, 3)}),
    "AvgPool2d": (AvgPool2d(2), {"x": ones(1, 2, 4, 4)}),
    **{
        f"BatchNorm{rank}d": (
            getattr(impl, f"BatchNorm{rank}d")(3, training=False),
            {"x": ones(2, 3, *rank * [2]), "weight": ones(3), "bias": ones(3)}
            | {"running_mean": ones(3), "running_var": ones(3), "num_batches_tracked": ids()},
        )
        for rank in (1, 2, 3)
    },
    "Conv2d": (Conv2d(2, 3, 2), {"x": ones(1, 2, 4, 4), "weight": ones(3, 2, 2, 2), "bias": ones(3)}),
    "Bilinear": (
        impl.Bilinear(2, 4, 3),
        {"input1": ones(5, 2), "input2": ones(5, 4), "weight": ones(3, 2, 4), "bias": ones(3)},
    ),
    "Conv1d": (impl.Conv1d(2, 3, 2), {"x": ones(1, 2, 4), "weight": ones(3, 2, 2), "bias": ones(3)}),
    "Conv3d": (impl.Conv3d(2, 3, 2), {"x": ones(1, 2, 4, 4, 4), "weight": ones(3, 2, 2, 2, 2), "bias": ones(3)}),
    "ConvTranspose1d": (
        impl.ConvTranspose1d(2, 3, 2),
        {"x": ones(1, 2, 4), "weight": ones(2, 3, 2), "bias": ones(3), "output_size": ids(1, fill=5)},
    ),
    "ConvTranspose2d": (
        impl.ConvTranspose2d(2, 3, 2),
        {"x": ones(1, 2, 4, 4), "weight": ones(2, 3, 2, 2), "bias": ones(3)},
    ),
    "ConvTranspose3d": (
        impl.ConvTranspose3d(2, 3, 2),
        {"x": ones(1, 2, 4, 4, 4), "weight": ones(2, 3, 2, 2, 2), "bias": ones(3)},
    ),
    "Fold": (impl.Fold(4, 2), {"x": ones(1, 8, 9)}),
    "Unfold": (impl.Unfold(2), {"x": ones(1, 2, 4, 4)}),
    "CrossEntropyLoss": (
        CrossEntropyLoss(reduction="none"),
        {"x": ones(2, 3, 2), "target": ids(2, 2), "weight": ones(3)},
    ),
    "CrossMapLRN2d": (impl.CrossMapLRN2d(3), {"x": ones(1, 2, 2, 2)}),
    "Flatten": (Flatten(), {"x": ones(2, 3, 4)}),
    "LPPool1d": (impl.LPPool1d(2, 2), {"x": ones(1, 2, 4)}),
    "LPPool2d": (impl.LPPool2d(2, 2), {"x": ones(1, 2, 4, 4)}),
    "LPPool3d": (impl.LPPool3d(2, 2), {"x": ones(1, 2, 4, 4, 4)}),
    "GridSample": (impl.GridSample(), {"x": ones(1, 2, 3, 3), "grid": ones(1, 2, 2, 2)}),
    "Interpolate": (impl.Interpolate(3), {"x": ones(1, 2, 4, 4)}),
    "Upsample": (impl.Upsample(3), {"x": ones(1, 2, 4, 4)}),
    "UpsamplingBilinear2d": (impl.UpsamplingBilinear2d(3), {"x": ones(1, 2, 4, 4)}),
    "UpsamplingNearest2d": (impl.UpsamplingNearest2d(3), {"x": ones(1, 2, 4, 4)}),
    "GroupNorm": (impl.GroupNorm(2, 4), {"x": ones(2, 4, 3), "weight": ones(4), "bias": ones(4)}),
    **{
        f"InstanceNorm{rank}d": (
            getattr(impl, f"InstanceNorm{rank}d")(3, affine=True, track_running_stats=True, training=False),
            {"x": ones(2, 3, *rank * [2]), "weight": ones(3), "bias": ones(3)}
            | {"running_mean": ones(3), "running_var": ones(3), "num_batches_tracked": ids()},
        )
        for rank in (1, 2, 3)
    },
    "LayerNorm": (impl.LayerNorm((2, 3)), {"x": ones(4, 2, 3), "weight": ones(2, 3), "bias": ones(2, 3)}),
    "LeakyReLU": (LeakyReLU(), {"x": ones(2, 3)}),
    "Linear": (Linear(2, 3), {"x": ones(4, 2), "weight": ones(3, 2), "bias": ones(3)}),
    "LocalResponseNorm": (impl.LocalResponseNorm(3), {"x": ones(1, 2, 3)}),
    "LogSoftmax": (LogSoftmax(), {"x": ones(2, 3)}),
    "MSELoss": (MSELoss(reduction="none"), {"x": ones(2, 3), "target": ones(2, 3)}),
    "MaxPool1d": (impl.MaxPool1d(2), {"x": ones(1, 2, 4)}),
    "MaxPool3d": (impl.MaxPool3d(2), {"x": ones(1, 2, 4, 4, 4)}),
    "MaxPool2d": (MaxPool2d(2), {"x": ones(1, 2, 4, 4)}),
    "Multiply": (Multiply(), {"x": ones(2, 3), "other": ones(3)}),
    "Normalize": (impl.Normalize(), {"x": ones(2, 3)}),
    "RMSNorm": (impl.RMSNorm(3), {"x": ones(2, 3), "weight": ones(3)}),
    "ReLU": (ReLU(), {"x": ones(2, 3)}),
    "Sigmoid": (Sigmoid(), {"x": ones(2, 3)}),
    "Softmax": (Softmax(), {"x": ones(2, 3)}),
    "Tanh": (Tanh(), {"x": ones(2, 3)}),
    **{
        name: (getattr(impl, name)(), {"x": ones(2, 3, 4), "mask": ones(*mask) > 0})
        for name, mask in {
            "Dropout": (2, 3, 4),
            "Dropout1d": (2, 3, 1),
            "Dropout2d": (2, 3, 1),
            "Dropout3d": (2, 1, 1),
            "AlphaDropout": (2, 3, 4),
            "FeatureAlphaDropout": (2, 3, 1),
        }.items()
    },
    "FractionalMaxPool2d": (
        impl.FractionalMaxPool2d(2, 2),
        {"x": ones(1, 2, 4, 4), "_random_samples": ones(1, 2, 2) / 2},
    ),
    "FractionalMaxPool3d": (
        impl.FractionalMaxPool3d(2, 2),
        {"x": ones(2, 4, 4, 4), "_random_samples": ones(1, 2, 3) / 2},
    ),
    **{
        f"MaxUnpool{rank}d": (
            getattr(impl, f"MaxUnpool{rank}d")(2),
            {"x": ones(2, 3, *(1,) * rank), "indices": ids(2, 3, *(1,) * rank), "output_size": ids(rank, fill=3)},
        )
        for rank in (1, 2, 3)
    },
    "Embedding": (impl.Embedding(3, 2), {"x": ids(2, 4), "weight": ones(3, 2)}),
    "EmbeddingBag": (
        impl.EmbeddingBag(3, 2, mode="sum"),
        {"x": ids(4), "offsets": ids(2), "weight": ones(3, 2), "per_sample_weights": ones(4)},
    ),
    "RNNCell": (impl.RNNCell(3, 2), {"x": ones(4, 3), "hx": ones(4, 2), **cell(1)}),
    "GRUCell": (impl.GRUCell(3, 2), {"x": ones(4, 3), "hx": ones(4, 2), **cell(3)}),
    "LSTMCell": (impl.LSTMCell(3, 2), {"x": ones(4, 3), "h_0": ones(4, 2), "c_0": ones(4, 2), **cell(4)}),
    "RNN": (impl.RNN(3, 2), {"x": ones(5, 4, 3), "hx": ones(1, 4, 2), **cell(1, "_l0")}),
    "GRU": (impl.GRU(3, 2), {"x": ones(5, 4, 3), "hx": ones(1, 4, 2), **cell(3, "_l0")}),
    "LSTM": (
        impl.LSTM(3, 2),
        {"x": ones(5, 4, 3), "h_0": ones(1, 4, 2), "c_0": ones(1, 4, 2), **cell(4, "_l0")},
    ),
    "ScaledDotProductAttention": (
        impl.ScaledDotProductAttention(),
        {"query": ones(2, 3, 4), "key": ones(2, 5, 4), "value": ones(2, 5, 6), "attn_mask": ones(3, 5) > 0},
    ),
    "MultiheadAttention": (
        impl.MultiheadAttention(4, 2, add_bias_kv=True, kdim=3, need_weights=False),
        {"query": ones(3, 2, 4), "key": ones(5, 2, 3), "value": ones(5, 2, 4)}
        | {"key_padding_mask": ones(2, 5) < 0, "attn_mask": ones(3, 5) < 0}
        | {"q_proj_weight": ones(4, 4), "k_proj_weight": ones(4, 3), "v_proj_weight": ones(4, 4)}
        | {"in_proj_bias": ones(12), "bias_k": ones(1, 1, 4), "bias_v": ones(1, 1, 4)}
        | {"out_proj.weight": ones(4, 4), "out_proj.bias": ones(4)},
    ),
    "TransformerEncoderLayer": (
        impl.TransformerEncoderLayer(4, 2, 3, 0.0),
        {"src": ones(3, 2, 4), "src_mask": ones(3, 3) < 0, **learned(4, 3, SELF)},
    ),
    "TransformerDecoderLayer": (
        impl.TransformerDecoderLayer(4, 2, 3, 0.0),
        {"tgt": ones(3, 2, 4), "memory": ones(5, 2, 4), "memory_mask": ones(3, 5) < 0, **learned(4, 3, BOTH)},
    ),
    "TransformerEncoder": (
        impl.TransformerEncoder(impl.TransformerEncoderLayer(4, 2, 3), 1, impl.LayerNorm(4), training=False),
        {"src": ones(3, 2, 4), "mask": ones(3, 3) < 0, **learned(4, 3, SELF, "layers.0."), **NORM},
    ),
    "TransformerDecoder": (
        impl.TransformerDecoder(impl.TransformerDecoderLayer(4, 2, 3), 1, impl.LayerNorm(4), training=False),
        {"tgt": ones(3, 2, 4), "memory": ones(5, 2, 4), **learned(4, 3, BOTH, "layers.0."), **NORM},
    ),
    "Transformer": (
        impl.Transformer(4, 2, 1, 1, 3, training=False),
        {"src": ones(5, 2, 4), "tgt": ones(3, 2, 4), **learned(4, 3, SELF, "encoder.layers.0.")}
        | {f"encoder.{name}": a for name, a in NORM.items()}
        | {**learned(4, 3, BOTH, "decoder.layers.0."), **{f"decoder.{name}": a for name, a in NORM.items()}},
    ),
    "CELU": (impl.CELU(), {"x": ones(2, 3)}),
    "ELU": (impl.ELU(), {"x": ones(2, 3)}),
    "GELU": (impl.GELU(), {"x": ones(2, 3)}),
    "Hardshrink": (impl.Hardshrink(), {"x": ones(2, 3)}),
    "Hardsigmoid": (impl.Hardsigmoid(), {"x": ones(2, 3)}),
    "Hardswish": (impl.Hardswish(), {"x": ones(2, 3)}),
    "Hardtanh": (impl.Hardtanh(), {"x": ones(2, 3)}),
    "LogSigmoid": (impl.LogSigmoid(), {"x": ones(2, 3)}),
    "Mish": (impl.Mish(), {"x": ones(2, 3)}),
    "ReLU6": (impl.ReLU6(), {"x": ones(2, 3)}),
    "SELU": (impl.SELU(), {"x": ones(2, 3)}),
    "SiLU": (impl.SiLU(), {"x": ones(2, 3)}),
    "Softmin": (impl.Softmin(), {"x": ones(2, 3)}),
    "Softplus": (impl.Softplus(), {"x": ones(2, 3)}),
    "Softshrink": (impl.Softshrink(), {"x": ones(2, 3)}),
    "Softsign": (impl.Softsign(), {"x": ones(2, 3)}),
    "Tanhshrink": (impl.Tanhshrink(), {"x": ones(2, 3)}),
    "GLU": (impl.GLU(), {"x": ones(2, 4)}),
    "PReLU": (impl.PReLU(3), {"x": ones(2, 3), "weight": ones(3)}),
    "RReLU": (impl.RReLU(), {"x": ones(2, 3), "slopes": ones(2, 3)}),
    "Softmax2d": (impl.Softmax2d(), {"x": ones(2, 3, 4, 5)}),
    "Threshold": (impl.Threshold(0.5, 2.0), {"x": ones(2, 3)}),
    "ReflectionPad1d": (impl.ReflectionPad1d(1), {"x": ones(1, 2, 4)}),
    "ReflectionPad2d": (impl.ReflectionPad2d(1), {"x": ones(1, 2, 4, 4)}),
    "ReflectionPad3d": (impl.ReflectionPad3d(1), {"x": ones(1, 2, 4, 4, 4)}),
    "ReplicationPad1d": (impl.ReplicationPad1d(1), {"x": ones(1, 2, 4)}),
    "ReplicationPad2d": (impl.ReplicationPad2d(1), {"x": ones(1, 2, 4, 4)}),
    "ReplicationPad3d": (impl.ReplicationPad3d(1), {"x": ones(1, 2, 4, 4, 4)}),
    "ZeroPad1d": (impl.ZeroPad1d(1), {"x": ones(1, 2, 4)}),
    "ZeroPad2d": (impl.ZeroPad2d(1), {"x": ones(1, 2, 4, 4)}),
    "ZeroPad3d": (impl.ZeroPad3d(1), {"x": ones(1, 2, 4, 4, 4)}),
    "ConstantPad1d": (impl.ConstantPad1d(1, 0.5), {"x": ones(1, 2, 4)}),
    "ConstantPad2d": (impl.ConstantPad2d(1, 0.5), {"x": ones(1, 2, 4, 4)}),
    "ConstantPad3d": (impl.ConstantPad3d(1, 0.5), {"x": ones(1, 2, 4, 4, 4)}),
    "CircularPad1d": (impl.CircularPad1d(1), {"x": ones(1, 2, 4)}),
    "CircularPad2d": (impl.CircularPad2d(1), {"x": ones(1, 2, 4, 4)}),
    "CircularPad3d": (impl.CircularPad3d(1), {"x": ones(1, 2, 4, 4, 4)}),
    "Pad": (impl.Pad((1, 2)), {"x": ones(2, 3)}),
    "ChannelShuffle": (impl.ChannelShuffle(2), {"x": ones(1, 4, 2)}),
    "PixelShuffle": (impl.PixelShuffle(2), {"x": ones(1, 4, 2, 2)}),
    "PixelUnshuffle": (impl.PixelUnshuffle(2), {"x": ones(1, 1, 4, 4)}),
    "Unflatten": (impl.Unflatten(1, (2, -1)), {"x": ones(2, 6)}),
    "Identity": (impl.Identity(), {"x": ones(2, 3)}),
    "CosineSimilarity": (impl.CosineSimilarity(), {"x1": ones(2, 3), "x2": ones(3)}),
    "PairwiseDistance": (impl.PairwiseDistance(), {"x1": ones(2, 3), "x2": ones(3)}),
    "Pdist": (impl.Pdist(), {"x": ones(3, 2)}),
    **{
        name: (getattr(impl, name)(reduction="none"), {"x": ones(2, 3), "target": ones(2, 3)})
        for name in ("HuberLoss", "KLDivLoss", "L1Loss", "PoissonNLLLoss", "SmoothL1Loss")
    },
    **{
        name: (getattr(impl, name)(reduction="none"), {"x": ones(2, 3), "target": ids(2, 3, fill=1)})
        for name in ("HingeEmbeddingLoss", "SoftMarginLoss")
    },
    **{
        name: (getattr(impl, name)(reduction="none"), {"x": ones(2, 3), "target": ones(2, 3), "weight": ones(3)})
        for name in ("BCELoss", "MultiLabelSoftMarginLoss")
    },
    "BCEWithLogitsLoss": (
        impl.BCEWithLogitsLoss("none"),
        {"x": ones(2, 3), "target": ones(2, 3), "weight": ones(3), "pos_weight": ones(3)},
    ),
    "GaussianNLLLoss": (
        impl.GaussianNLLLoss(reduction="none"),
        {"x": ones(2, 3), "target": ones(2, 3), "var": ones(2, 3)},
    ),
    "MarginRankingLoss": (
        impl.MarginRankingLoss(reduction="none"),
        {"input1": ones(2, 3), "input2": ones(2, 3), "target": ids(2, 3, fill=1)},
    ),
    "CosineEmbeddingLoss": (
        impl.CosineEmbeddingLoss(reduction="none"),
        {"input1": ones(2, 3), "input2": ones(2, 3), "target": ids(2, fill=1)},
    ),
    **{
        name: (
            getattr(impl, name)(reduction="none"),
            {"anchor": ones(2, 3), "positive": ones(2, 3), "negative": ones(2, 3)},
        )
        for name in ("TripletMarginLoss", "TripletMarginWithDistanceLoss")
    },
    "NLLLoss": (impl.NLLLoss(reduction="none"), {"x": ones(2, 3, 2), "target": ids(2, 2), "weight": ones(3)}),
    "LinearCrossEntropyLoss": (
        impl.LinearCrossEntropyLoss(2, 3, bias=True, reduction="none"),
        {"x": ones(4, 2), "target": ids(4), "weight": ones(3), "linear.weight": ones(3, 2), "linear.bias": ones(3)},
    ),
    "MultiMarginLoss": (
        impl.MultiMarginLoss(reduction="none"),
        {"x": ones(2, 3), "target": ids(2), "weight": ones(3)},
    ),
    "MultiLabelMarginLoss": (impl.MultiLabelMarginLoss("none"), {"x": ones(2, 3), "target": ids(2, 3)}),
    **{
        name: (
            getattr(impl, name)(reduction="none"),
            {"log_probs": -ones(4, 2, 3), "targets": ids(2, 2, fill=1)}
            | {"input_lengths": ids(2, fill=4), "target_lengths": ids(2, fill=1)},
        )
        for name in ("CTCLoss", "ExactCTCLoss")
    },
    "AdaptiveLogSoftmaxWithLoss": (
        impl.AdaptiveLogSoftmaxWithLoss(4, 5, [2], head_bias=True),
        {"x": ones(2, 4), "target": ids(2, fill=3), "head.weight": ones(3, 4), "head.bias": ones(3)}
        | {"tail.0.0.weight": ones(1, 4), "tail.0.1.weight": ones(3, 1)},
    ),
    "GumbelSoftmax": (impl.GumbelSoftmax(), {"logits": ones(2, 3), "gumbels": ones(2, 3)}),
    "WeightNorm": (impl.WeightNorm(), {"weight_g": ones(2, 1), "weight_v": ones(2, 3)}),
    "SpectralNorm": (impl.SpectralNorm(training=False), {"weight": ones(2, 3), "_u": ones(2), "_v": ones(3)}),
}
REAL = [(name, argument) for name, (_, inputs) in GOOD.items() for argument, a in inputs.items() if a.dtype.kind == "f"]
