"""`gradjury init`: what it sees in a package's source, which it never runs, and the test file it writes."""

from __future__ import annotations

import ast
import subprocess
import sys
import textwrap

import pytest
from click.testing import CliRunner

import gradjury
from gradjury.properties.cli import main
from gradjury.properties.scaffold.writing import literal, snake

# A package of all styles. It cannot be imported: to read it must not mean to run it.
PACKAGE = {
    "__init__": "raise RuntimeError('imported')",
    "base": """
        from abc import ABC, abstractmethod

        class Layer(ABC):
            def __call__(self, x):
                return self.forward(x)

            @abstractmethod
            def forward(self, x): ...

            def backward(self, dy):
                raise NotImplementedError

        class Sequential(Layer):
            def forward(self, x):
                return x

            def backward(self, dy):
                return dy
        """,
    "layers": """
        from . import base
        from .base import Layer

        class Dense(Layer):
            def __init__(self, units, use_bias=True, seed=None):
                self.W, self.b = None, None

            def forward(self, x):
                self.x = x
                return x @ self.W + self.b

            def backward(self, dy):
                self.dW, self.db = self.x.T @ dy, dy.sum(0)
                return dy @ self.W.T

        class LowRankDense(Dense):
            pass

        class Flatten(base.Layer):
            def forward_prop(self, x): return x.reshape(len(x), -1)
            def back_prop(self, dy): return dy

        class MaxPooling2D(Layer):
            def __init__(self, pool_size, strides=2, padding="valid"): ...
            def forward(self, x): return x
            def backward(self, dy): return dy

        class Dropout(Layer):
            def __init__(self, rate): ...
            def forward(self, x): return x
            def backward(self, dy): return dy
        """,
    "trained": """
        class Linear:
            def __init__(self, in_features, out_features):
                self.weights = [None]

            @property
            def matrix(self):
                return self.weights[0]

            def propagate(self, x):
                self.__x = x
                return x @ self.matrix.T

            def backpropagate(self, dy):
                self.__adjust(dy)
                return dy @ self.matrix

            def __adjust(self, dy):
                self.matrix -= self.net.learning_rate * dy.T @ self.__x
        """,
    "activations": """
        def sigmoid(x): return 1 / (1 + exp(-x))
        def sigmoid_prime(x): return sigmoid(x) * (1 - sigmoid(x))

        def leaky_relu(x, alpha=0.3): return x
        def leaky_relu_derivative(x, alpha=0.3): return x

        class ELU:
            def __init__(self, alpha=1.0): ...
            def __call__(self, x): return x
            def derivative(self, x): return x

        class Wavelet:
            def __call__(self, x): return x
            def derivative(self, x): return x
        """,
    "losses": """
        class Huber:
            def __init__(self, delta=1.0): ...
            def __call__(self, y_true, y_pred): return 0
            def derivative(self, y_true, y_pred): return y_pred
        """,
    "functions": """
        def affine_forward(x, w, b): return x @ w.T + b, (x, w)
        def affine_backward(dout, cache): return dout

        def relu(x):
            def backward(dy):
                return dy * (x > 0)
            return maximum(x, 0), backward
        """,
}


@pytest.fixture
def here(tmp_path, monkeypatch):
    """An empty folder to work in, and a terminal wide enough."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "220")
    return tmp_path


def package(folder, modules=PACKAGE, name="nets"):
    (folder / name).mkdir(parents=True)
    for module, source in modules.items():
        (folder / name / f"{module}.py").write_text(textwrap.dedent(source), encoding="utf-8")


def init(*arguments):
    return CliRunner().invoke(main, ["init", *arguments])


def rows(done):
    """The table: layer, style, contract, what was fixed."""
    assert done.exit_code == 0, done.output
    lines = [[cell.strip() for cell in line.split("│")[1:-1]] for line in done.output.splitlines() if "│" in line]
    return {line[0]: tuple(line[1:]) for line in lines}


def test_a_package_of_all_styles_is_listed(here):
    package(here)
    pool = "padding=0, dilation=1, return_indices=False, ceil_mode=False"
    noise = "it draws its own noise: Dropout's is an input, mask"
    assert rows(init("nets")) == {
        "nets.activations:sigmoid": ("derivative", "Sigmoid", ""),
        "nets.activations:leaky_relu": ("derivative", "LeakyReLU", ""),
        "nets.activations:ELU": ("derivative", "ELU", ""),
        "nets.activations:Wavelet": ("derivative", "", "no contract: write your own"),
        "nets.functions:affine": ("pair", "Linear", "bias=True"),
        "nets.functions:relu": ("closure", "ReLU", ""),
        "nets.layers:Dense": ("object", "Linear", ""),
        "nets.layers:LowRankDense": ("object", "", "no contract: write your own"),
        "nets.layers:Flatten": ("object", "Flatten", "start_dim=1, end_dim=-1"),
        "nets.layers:MaxPooling2D": ("object", "MaxPool2d", pool),
        "nets.layers:Dropout": ("object", "Dropout", noise),
        "nets.losses:Huber": ("derivative", "HuberLoss", 'reduction="mean"'),
        "nets.trained:Linear": ("updating", "Linear", "bias=False"),
    }


def test_the_file_declares_each_layer_by_torchs_names(here):
    package(here)
    done = init("nets")
    text = (here / "test_gradients.py").read_text(encoding="utf-8")
    assert done.output.splitlines()[-2:] == [
        "test_gradients.py: 10 layers to try, 3 in comments. Correct it, then run",
        "    python -m pytest test_gradients.py",
    ]
    for part in (
        "def dense(out_features, bias=True):\n    return Dense(units=out_features, use_bias=bias)\n",
        'DENSE = gradjury.adapt(\n    dense,\n    to="Linear",\n)\n',
        "    (affine_forward, affine_backward),\n",
        'ELU_LAYER = gradjury.adapt(\n    ELU,\n    to="ELU",\n)\n',
        '    to="Flatten",\n    methods=("forward_prop", "back_prop"),\n',
        # torch's None for the stride is the size of the window; "valid" is the padding it has.
        "pool_size=kernel_size,\n        strides=kernel_size if stride is None else stride,\n",
        '    style="updating",\n    learning_rate="net.learning_rate",\n    fixed={"bias": False},\n',
        "# its own default of alpha is 0.3.\n",
        "    function = partial(leaky_relu, alpha=negative_slope)\n"
        "    derivative = partial(leaky_relu_derivative, alpha=negative_slope)\n    return function, derivative\n",
        "    loss = Huber(delta=delta)\n    return (\n        lambda x, target: loss(target, x),\n"
        "        lambda x, target: loss.derivative(target, x),\n    )\n",
        '    style="derivative",\n    no_grad=("target",),\n',
        "def make_relu():\n    return relu\n",
        "# - nets.activations:Wavelet (derivative): no contract: write your own.\n",
        "@gradjury.parametrize(LAYERS)\ndef test_gradients(check):\n    check()\n",
    ):
        assert part in text, part


def test_the_options_that_a_declaration_leaves_out_are_all_fixed(here, monkeypatch):
    """The file is run, with a package that can be imported."""
    declared = []

    def adapt(layer, *, to, fixed=None, **_):
        contract = gradjury.contracts.get(to)
        gradjury.properties.adapt.Layer(layer, contract, fixed or {}, {}).check_options()
        declared.append(to)

    package(here, {**PACKAGE, "__init__": ""}, name="sound")
    init("sound")
    monkeypatch.setattr(gradjury, "adapt", adapt, raising=False)
    monkeypatch.setattr(gradjury, "parametrize", lambda layers: lambda test: (layers, test))
    monkeypatch.syspath_prepend(here)
    names = {}
    exec((here / "test_gradients.py").read_text(encoding="utf-8"), names)
    assert len(declared) == len(names["LAYERS"]) == 10


def test_the_file_is_clean_python(here):
    package(here)
    init("nets")
    for command in (["check", "--select", "E4,E7,E9,F,I,N,B,ARG,UP"], ["format", "--check"]):
        done = subprocess.run(
            [sys.executable, "-m", "ruff", *command, "--isolated", "--no-cache", "test_gradients.py"],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("name", ["nets", "nets.layers", "./nets", "nets/layers.py"])
def test_nothing_is_run(name, here):
    package(here, {**PACKAGE, "layers": PACKAGE["layers"] + "\n        open('ran', 'w')\n        1 / 0\n"})
    assert "nets.layers:Dense" in rows(init(name))
    assert not (here / "ran").exists()
    assert not [module for module in sys.modules if module.partition(".")[0] == "nets"]


def test_a_package_elsewhere_is_read_by_its_path_and_the_command_says_where_it_is(here):
    package(here / "else where" / "deep", name="nets")
    (here / "else where" / "deep" / "__init__.py").touch()
    done = init("else where/deep/nets/layers.py")
    assert "deep.nets.layers:Dense" in rows(done)
    assert f"PYTHONPATH='{here / 'else where'}' python -m pytest test_gradients.py" in done.output
    assert "from deep.nets.layers import" in (here / "test_gradients.py").read_text(encoding="utf-8")


def test_a_folder_of_scripts_is_read_and_what_is_there_to_be_run_or_tests_it_is_not(here):
    layer = "class Tanh:\n    def forward(self, x): ...\n    def backward(self, dy): return dy\n".replace(
        "...", "return x"
    )
    places = ["layers", "setup", "conftest", "__main__", "test_layers", "tests/more", ".hidden/more", "env/lib/more"]
    for place in places:
        file = here / "code" / f"{place}.py"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(layer, encoding="utf-8")
    (here / "code" / "env" / "pyvenv.cfg").touch()
    assert list(rows(init("./code"))) == ["layers:Tanh"]


def test_a_file_that_exists_is_kept_unless_forced(here):
    package(here)
    file = here / "test_gradients.py"
    file.write_text("mine", encoding="utf-8")
    done = init("nets")
    assert done.exit_code == 2
    assert "test_gradients.py exists" in done.output
    assert file.read_text(encoding="utf-8") == "mine"
    assert init("nets", "--output", "other.py").exit_code == 0
    assert init("nets", "--force").exit_code == 0
    assert file.read_text(encoding="utf-8") == (here / "other.py").read_text(encoding="utf-8")
    assert sorted(path.name for path in here.iterdir()) == ["nets", "other.py", "test_gradients.py"]


def test_a_syntax_error_is_named_and_the_other_modules_are_read(here):
    package(here, {**PACKAGE, "broken": "x = 1\ndef half(:\n", "zero": "x = '\0'", "two-words": "x = 1"})
    done = init("nets")
    assert "nets.layers:Dense" in rows(done)
    for words in ("broken.py: line 2: invalid syntax", "zero.py: ", "two-words.py: nets.two-words is no name"):
        assert words in done.output


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nosuchpackage"], "there is no package 'nosuchpackage'"),
        (["no/such/folder"], "there is no package 'no/such/folder'"),
        (["nets.nosuchmodule"], "there is no package 'nets.nosuchmodule'"),
        (["sys"], "there is no package 'sys'"),
        (["notes.txt"], "there is no package 'notes.txt'"),
        (["plain"], "nothing in plain looks like a layer"),
        (["broken"], "broken.py: line 1"),
        (["empty"], "it holds no Python files"),
        (["nets", "--output", "no/such/folder/test.py"], "does not exist"),
    ],
    ids=lambda value: value[-1] if isinstance(value, list) else "",
)
def test_what_cannot_be_done_exits_2_and_says_why(arguments, words, here):
    package(here)
    package(here, {"__init__": "class Plain:\n    def run(self): return 1\n"}, name="plain")
    package(here, {"broken": "def (:"}, name="broken")
    (here / "empty").mkdir()
    (here / "notes.txt").touch()
    done = init(*arguments)
    assert done.exit_code == 2
    assert words in done.output
    assert "Traceback" not in done.output
    assert not (here / "test_gradients.py").exists()


def test_the_options_of_a_dataclass_are_its_fields(here):
    source = """
        @dataclass(frozen=True)
        class LeakyReLU:
            rank: ClassVar[int]
            negative_slope: float = 0.01

            def __call__(self, x):
                return x, lambda dy: dy
        """
    package(here, {"layers": source})
    assert rows(init("nets")) == {"nets.layers:LeakyReLU": ("closure", "LeakyReLU", "")}
    assert "LEAKY_RELU = gradjury.adapt(\n    LeakyReLU,\n" in (here / "test_gradients.py").read_text(encoding="utf-8")


def test_layers_of_the_same_name_are_told_apart(here):
    tanh = "class Tanh:\n    def forward(self, x): return x\n    def backward(self, dy): return dy\n"
    pair = "def forward(x, strides=1): return x, x\ndef backward(dy, cache): return dy\n"
    package(here, {"__init__": "", "old": tanh, "new": tanh + tanh.replace("Tanh", "TANH"), "conv2d": pair})
    init("nets")
    tree = ast.parse((here / "test_gradients.py").read_text(encoding="utf-8"))
    imported = [
        alias.asname or alias.name for n in ast.walk(tree) if isinstance(n, ast.ImportFrom) for alias in n.names
    ]
    assigned = [node.targets[0].id for node in tree.body if isinstance(node, ast.Assign)]
    names = imported + assigned
    assert len(names) == len({*names})
    assert sorted(imported) == ["OldTanh", "TANH", "Tanh", "conv2d_backward", "conv2d_forward", "partial"]


@pytest.mark.parametrize(
    ("name", "expected"),
    [("LeakyReLU", "leaky_relu"), ("MSELoss", "mse_loss"), ("Conv2DLayer", "conv2d_layer"), ("GRUCell", "gru_cell")],
)
def test_names_of_classes_become_names_of_functions(name, expected):
    assert snake(name) == expected


@pytest.mark.parametrize("value", [None, True, 1e-05, 'a "b"', (), (1,), ("a", (2.0, None))])
def test_a_literal_is_read_back(value):
    assert ast.literal_eval(literal(value)) == value


LAYERS_BUT_ONE_SOUND = """
    import numpy as np

    class Dense:
        def __init__(self, n_in, n_out):
            self.W, self.b = np.zeros((n_out, n_in)), np.zeros(n_out)

        def forward_pass(self, x):
            self.x = x
            return x @ self.W.T + self.b

        def backward_pass(self, dy):
            rows = dy.reshape(-1, dy.shape[-1])
            self.dW, self.db = rows.T @ self.x.reshape(-1, self.x.shape[-1]), rows.sum(0)
            return dy @ self.W

    class Linear(Dense):
        def backward_pass(self, dy):
            return super().backward_pass(dy) / 2

    def leaky_relu(x, alpha=0.3):
        return np.where(x > 0, x, x.dtype.type(alpha) * x)

    def leaky_relu_prime(x, alpha=0.3):
        return np.where(x > 0, x.dtype.type(1), x.dtype.type(alpha))

    def tanh(x):
        y = np.tanh(x)
        return y, lambda dy: dy * (1 - y * y)
    """


def test_the_file_tries_sound_layers_and_finds_the_wrong_one(here):
    package(here, {"__init__": "", "layers": LAYERS_BUT_ONE_SOUND}, name="whole")
    init("whole")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-k-gradients]", "test_gradients.py"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert "1 failed, 3 passed" in done.stdout, done.stdout + done.stderr
    assert "FAILED test_gradients.py::test_gradients[linear-Linear-gradients]" in done.stdout
