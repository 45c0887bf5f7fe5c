"""What people call torch's layers and their options: in lower case, without underscores."""

from __future__ import annotations

# Names of layers without their dimension: "conv" stands for Conv1d, Conv2d, ….
LAYERS = {
    "linear": ("dense", "fullyconnected", "fc", "affine", "lineartransform", "denselinear"),
    "conv": ("convolution", "convolutional"),
    "convtranspose": ("convtransposed", "transposedconv", "transposeconv", "deconv", "deconvolution"),
    "maxpool": ("maxpooling", "pool", "pooling"),
    "avgpool": ("averagepooling", "averagepool", "avgpooling", "meanpool", "meanpooling"),
    "batchnorm": ("batchnormalization", "batchnormalisation", "bn", "spatialbatchnorm"),
    "layernorm": ("layernormalization", "layernormalisation", "ln"),
    "groupnorm": ("groupnormalization", "groupnormalisation", "spatialgroupnorm"),
    "instancenorm": ("instancenormalization", "instancenormalisation"),
    "rmsnorm": ("rmsnormalization", "rmslayernorm"),
    "zeropad": ("zeropadding", "padding"),
    "dropout": ("inverteddropout", "spatialdropout"),
    "embedding": ("embed", "wordembedding", "tokenembedding"),
    "flatten": ("flattening",),
    "multiheadattention": ("mha", "multiheadselfattention", "multiheadedattention"),
    "scaleddotproductattention": ("dotproductattention", "scaleddotproduct"),
    "identity": ("noactivation", "no", "none", "passthrough"),
    "sigmoid": ("logistic", "sigm"),
    "tanh": ("hyperbolictangent", "tangenth"),
    "relu": ("rectifiedlinear", "rectifier", "rectifiedlinearunit"),
    "leakyrelu": ("lrelu", "leakyrectifier"),
    "silu": ("swish",),
    "hardswish": ("hswish",),
    "hardsigmoid": ("hsigmoid",),
    "hardtanh": ("htanh",),
    "logsoftmax": ("logsm",),
    "mse": ("meansquarederror", "meansquared", "squarederror", "quadratic", "l2"),
    "l1": ("meanabsoluteerror", "mae", "absoluteerror"),
    "smoothl1": ("smoothmae",),
    "bce": ("binarycrossentropy", "logloss"),
    "bcewithlogits": ("binarycrossentropywithlogits", "sigmoidbce", "sigmoidcrossentropy"),
    "crossentropy": (
        "categoricalcrossentropy",
        "sparsecategoricalcrossentropy",
        "softmaxcrossentropy",
        "softmaxcrossentropywithlogits",
        "crossentropywithlabelsmoothing",
        "cce",
        "softmaxcce",
        "softmaxwith",
        "softmaxloss",
        "ce",
    ),
    "nll": ("negativeloglikelihood",),
    "kldiv": ("kldivergence", "kullbackleibler"),
}

# Layers that torch has for several dimensions, and the dimension that is meant where none is named.
DIMENSIONS = {
    "batchnorm": 1,
    "instancenorm": 2,
    "conv": 2,
    "convtranspose": 2,
    "maxpool": 2,
    "avgpool": 2,
    "zeropad": 2,
}

# What may stand around the name proper.
PREFIXES = ("my", "custom", "simple", "numpy")
SUFFIXES = ("layer", "activation", "function", "loss", "cost", "module", "op")

_IN = ("ninput", "nin", "inputdim", "inputsize", "indim", "insize", "ninputs", "numinputs", "fanin", "inputs", "din")
_OUT = ("noutput", "nout", "outputdim", "outputsize", "outdim", "outsize", "noutputs", "numoutputs", "fanout", "dout")
_UNITS = ("units", "nunits", "numunits", "neurons", "nneurons", "neuronscount", "numneurons", "size", "width")
_FEATURES = (
    "numfeatures",
    "features",
    "nfeatures",
    "channels",
    "nchannels",
    "numchannels",
    *_IN,
    *_OUT,
    "dim",
    "size",
    "dmodel",
)

# For each option of torch's, other names in the order in which they are looked for.
OPTIONS = {
    "in_features": ("inputfeatures", "inunits", *_IN),
    "out_features": ("outputfeatures", "outunits", *_UNITS, *_OUT),
    "in_channels": ("inputchannels", "inch", "channelsin", "cin", "indepth", "inputdepth", "channels", *_IN),
    "out_channels": (
        *("filters", "nfilters", "numfilters", "filterscount", "outputchannels", "outch", "channelsout", "cout"),
        *("outdepth", "kernels", "nkernels", "numkernels", *_OUT),
    ),
    "kernel_size": (
        *("poolsize", "kernelshape", "poolshape", "filtersize", "filtershape", "windowsize", "kernelwidth", "kernel"),
        *("window", "pool", "size", "k", "f"),
    ),
    "stride": ("strides", "step", "s"),
    "padding": ("pad", "padsize", "paddingsize", "size", "p"),
    "dilation": ("dilationrate", "dilations"),
    "bias": ("usebias", "hasbias", "withbias", "addbias", "fitintercept"),
    "eps": ("epsilon",),
    "p": ("rate", "droprate", "dropoutrate", "dropprob", "dropoutprob", "prob", "probability", "dropout", "pdrop"),
    "negative_slope": ("alpha", "slope", "coef", "leak", "leakage", "leakiness", "a"),
    "alpha": ("a",),
    "num_features": _FEATURES,
    "num_channels": _FEATURES,
    "normalized_shape": ("shape", "normalizedshape", "normalizeddim", "normshape", *_FEATURES),
    "num_groups": ("groups", "ngroups", "g"),
    "num_embeddings": ("vocabsize", "vocabularysize", "nvocab", "nembeddings", "numwords", "v", *_IN),
    "embedding_dim": ("embeddim", "embdim", "embeddingsize", "embedsize", "dim", "d", *_OUT),
    "padding_idx": ("padidx", "paddingindex", "padindex"),
    "input_size": ("inputfeatures", *_IN),
    "hidden_size": ("hidden", "hiddendim", "nhidden", "hiddenunits", *_UNITS, *_OUT),
    "embed_dim": ("dmodel", "modeldim", "embeddingdim", "dim"),
    "num_heads": ("nheads", "heads", "nhead", "h"),
    "d_model": ("embeddim", "modeldim", "dim"),
    "nhead": ("numheads", "nheads", "heads", "h"),
    "dim_feedforward": ("dff", "ffdim", "hiddendim", "feedforwarddim"),
    "dropout": ("dropoutrate", "p"),
    "dropout_p": ("dropout", "dropoutrate", "p"),
    "dim": ("axis",),
    "start_dim": ("startaxis",),
    "lambd": ("lambda", "lam"),
    "upscale_factor": ("factor", "r", "blocksize"),
    "downscale_factor": ("factor", "r", "blocksize"),
    "approximate": ("approximation",),
    "reduction": ("reduce",),
}

# Contracts whose noise is an input, and what it is called.
NOISE = {
    "Dropout": "mask",
    "Dropout1d": "mask",
    "Dropout2d": "mask",
    "Dropout3d": "mask",
    "AlphaDropout": "mask",
    "FeatureAlphaDropout": "mask",
    "RReLU": "slopes",
    "GumbelSoftmax": "gumbels",
}

# Where torch's default is not what a layer without the option does.
FIXED = {("Softmax", "dim"): -1, ("LogSoftmax", "dim"): -1, ("Softmin", "dim"): -1}

# What is worth a look where a layer is matched with one of these.
REMARKS = {
    "CrossEntropyLoss": "torch's takes logits: NLLLoss takes logarithms, BCELoss probabilities",
    "BCELoss": "torch's takes probabilities: BCEWithLogitsLoss takes logits",
    **dict.fromkeys(
        ("MSELoss", "L1Loss", "SmoothL1Loss", "HuberLoss"),
        "torch's broadcasts: where= can say that x and target have one shape",
    ),
    "BatchNorm1d": "torch's momentum is the weight of the new batch",
    "BatchNorm2d": "torch's momentum is the weight of the new batch",
}
