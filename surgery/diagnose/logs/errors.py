"""The errors in a log: what the parser and the builder refuse, each once, with the names that the log has."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from itertools import takewhile

from surgery.diagnose.logs.lines import Message
from surgery.diagnose.logs.warnings import only_follows

WHILE = re.compile(
    r'While parsing node number (?P<number>\d+)(?: \([^)]*\))? \[(?P<op>[^\]\s]*)(?: -> "(?P<output>[^"]*)")?\]'
)
REASON = re.compile(
    r"ERROR: (?P<file>.*?):(?P<line>\d+) In function (?P<function>\w+):\s*(?:\[(?P<code>\d+)\] )?(?P<text>.*)",
    re.DOTALL,
)
IN_NODE = re.compile(
    r"In node (?P<number>-?\d+)(?: with name: (?P<name>.*?) and operator: (?P<op>.*?))? \((?P<function>\w+)\): "
    r"(?P<code>[A-Z_]+): (?P<text>.*)",
    re.DOTALL,
)
CODED = re.compile(r"Error Code:? (?P<code>\d+): (?P<kind>[A-Za-z ]+?) ?\((?P<text>.*)\)\s*$", re.DOTALL)
NUMBERED = re.compile(r"^(?:\[\w[^\]]*::\d+\] |\d+: )+")
SOURCE_LINE = re.compile(r"^[\w/]+\.(?:cpp|hpp|h|cc):\d+:\s*")
BARE = re.compile(r"^(?:Error\[\d+\]|\d+): (?P<text>.+)$", re.DOTALL)
ATTRIBUTE = re.compile(r"^(?P<indent>\s*)attribute \{\n.*?^(?P=indent)\}", re.DOTALL | re.M)
TEXT_FIELD = re.compile(
    r'^(?:\S+:\d+: )?\s*(?P<key>input|output|name|op_type|domain): "(?P<value>(?:[^"\\]|\\.)*)"', re.M
)
OF_A_BLOCK = re.compile(rf"--- (?:Begin|End) node ---|{TEXT_FIELD.pattern}", re.M)
RTX_NAME = re.compile(r"^Node name: (?P<name>.+?)\s*$", re.M)
SOURCES = (".cpp", ".hpp", ".h", ".cc", ".cu")
CODES = (
    *("SUCCESS", "INTERNAL_ERROR", "MEM_ALLOC_FAILED", "MODEL_DESERIALIZE_FAILED", "INVALID_VALUE", "INVALID_GRAPH"),
    *("INVALID_NODE", "UNSUPPORTED_GRAPH", "UNSUPPORTED_NODE", "UNSUPPORTED_NODE_ATTR", "UNSUPPORTED_NODE_INPUT"),
    *("UNSUPPORTED_NODE_DATATYPE", "UNSUPPORTED_NODE_DYNAMIC", "UNSUPPORTED_NODE_SHAPE", "REFIT_FAILED"),
)
PLUGIN = re.compile(r"(?:Cannot find plugin|could not find plugin):? (?P<op>\w+)")
LAYER = re.compile(r"\bI[A-Z]\w+Layer (?P<name>.+?): ")
NODE = re.compile(r"implementation for node (?P<name>[^\n]+?)(?: due to [^.]*)?\.?$", re.M)
FOREIGN = re.compile(r"\{ForeignNode\[(?P<first>.+?)\.\.\.(?P<last>.+)\]\}")
MADE_BY_PARSER = re.compile(r"^(?:\(Unnamed Layer\* ?\d+\) ?\[.*\]|ONNXTRT_.*|Reformatting CopyNode .*|__my\w*.*)$")


@dataclass(frozen=True)
class LogError:
    """One error of TensorRT in a log.

    line      of the log
    stage     "parser" or "builder"
    code      "UNSUPPORTED_NODE" of the parser, "Internal Error" of the builder
    text      TensorRT's own words
    number    of the node in the main graph of the file that was parsed; -1 where the log does not say
    output    first output of the node; name, op, domain: of the node; inputs, outputs: names of its tensors
    layers    names of layers in a builder's error, as TensorRT made them from names of nodes
    spans     the error is about everything between the first and the last of `layers`
    tensor    input or initializer that the error is about
    """

    line: int
    stage: str
    code: str = ""
    text: str = ""
    number: int = -1
    output: str = ""
    name: str = ""
    op: str = ""
    domain: str = ""
    inputs: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()
    layers: tuple[str, ...] = ()
    spans: bool = False
    tensor: str = ""


@dataclass
class _Block:
    """An error of the parser that is still being read."""

    line: int
    number: int
    op: str
    output: str
    fields: dict[str, list[str]] = field(default_factory=dict)

    def read(self, text: str) -> None:
        for match in TEXT_FIELD.finditer(ATTRIBUTE.sub("", text)):
            self.fields.setdefault(match["key"], []).append(match["value"])
        found = RTX_NAME.search(text)
        if found:
            self.fields.setdefault("name", []).append(found["name"])

    def finished(self, code: str, text: str) -> LogError:
        first = {key: values[0] for key, values in self.fields.items()}
        return LogError(
            self.line,
            "parser",
            code,
            text,
            self.number,
            self.output,
            first.get("name", ""),
            first.get("op_type", self.op),
            first.get("domain", ""),
            tuple(self.fields.get("input", ())),
            tuple(self.fields.get("output", ())),
        )


def read_errors(found: Iterable[Message]) -> list[LogError]:
    """The errors among the messages, each once, without what only follows from another."""
    return _distinct(list(_errors(found)))


def _errors(found: Iterable[Message]) -> Iterator[LogError]:
    block: _Block | None = None
    for message in found:
        begins = WHILE.search(message.text)
        if begins:
            if block is not None:  # the log lost the reason of the block before
                yield block.finished("", "")
            block = _Block(message.line, int(begins["number"]), begins["op"], begins["output"] or "")
        in_node = IN_NODE.search(message.text)
        reason = None if in_node else REASON.search(message.text)
        if block is not None:
            block.read(message.text)
        if in_node:
            yield _of_python(message, in_node)
        elif reason and block is not None:
            yield block.finished(_code(reason), _clean(reason["text"]))
            block = None
        elif reason:
            tensor = "" if reason["file"].endswith(SOURCES) else reason["file"]
            yield LogError(message.line, "parser", _code(reason), _clean(reason["text"]), tensor=tensor)
        elif not begins and not OF_A_BLOCK.search(message.text):
            error = _of_builder(message)
            if error is not None:
                yield error
    if block is not None:
        yield block.finished("", "")


def _code(reason: re.Match[str]) -> str:
    number = int(reason["code"] or 0)
    return CODES[number] if 0 < number < len(CODES) else ""


def _clean(text: str) -> str:
    return text.strip().removeprefix("Assertion failed: ")


def _of_python(message: Message, match: re.Match[str]) -> LogError:
    """An error as `str(parser.get_error(i))` has it."""
    text = _clean(match["text"])
    return LogError(
        message.line,
        "parser",
        match["code"],
        text,
        int(match["number"]),
        name=match["name"] or "",
        op=match["op"] or "",
    )


def _own_lines(text: str) -> str:
    """The text up to where its error ends: lines that Python or a shell printed after it may follow in a log."""
    lines = text.splitlines()
    for count in range(1, len(lines) + 1):
        coded = CODED.search("\n".join(lines[:count]))
        if coded and coded["text"].count("(") == coded["text"].count(")"):
            return "\n".join(lines[:count])
    more = list(takewhile(lambda line: not line or line[0].isspace(), lines[1:]))
    return text if CODED.search(text) else "\n".join([*lines[:1], *more])


def _of_builder(message: Message) -> LogError | None:
    text = _own_lines(SOURCE_LINE.sub("", message.text.strip()))
    if only_follows(text) or not text or text.startswith("&&&&"):
        return None
    coded = CODED.search(text)
    bare = BARE.match(text)
    words = NUMBERED.sub("", (coded or bare or {"text": text})["text"]).strip()
    if only_follows(words):
        return None
    if "Failed to parse ONNX model from file" in words or "Failed to open file" in words:
        return LogError(message.line, "parser", "INVALID_GRAPH", words)
    if "Failed to import initializer" in words:
        return LogError(message.line, "parser", "INVALID_GRAPH", words)
    plugin = PLUGIN.search(words)
    if plugin:
        return LogError(message.line, "parser", "", words, op=plugin["op"])
    layers, spans = layers_in(words)
    return LogError(message.line, "builder", coded["kind"] if coded else "", words, layers=layers, spans=spans)


def layers_in(text: str) -> tuple[tuple[str, ...], bool]:
    """Names of ONNX nodes in the name of a layer that an error is about, and whether it spans all between two.

    Names that the parser gives to layers of its own are left out.
    """
    node = NODE.search(text)
    layer = LAYER.search(text)
    whole = node["name"] if node else layer["name"] if layer else ""
    foreign = FOREIGN.search(whole)
    parts = [foreign["first"], foreign["last"]] if foreign else [whole]
    names = [name for part in parts for name in _split(part)]
    return tuple(dict.fromkeys(name for name in names if name and not MADE_BY_PARSER.match(name))), bool(foreign)


def _split(part: str) -> list[str]:
    """The names that TensorRT joined for a fused layer: `/a/Conv + PWN(/b/Sigmoid)`."""
    names = []
    for piece in part.strip("{} ").split(" + "):
        name = piece.strip()
        while name.startswith("PWN(") and name.endswith(")"):
            name = name[4:-1]
        names += [inner.strip() for inner in name.replace("PWN(", "").split(", ")]
    return [name.rstrip(")") if name.count(")") > name.count("(") else name for name in names]


def _distinct(errors: list[LogError]) -> list[LogError]:
    """Errors without those that another one, of the parser or with more in it, says again."""
    parser = [error for error in errors if error.stage == "parser" and not PLUGIN.search(error.text)]
    refused = {error.op for error in parser}
    kept: list[LogError] = []
    for error in errors:
        if error.stage == "builder" and any(_says_again(error, other) for other in parser):
            continue
        if PLUGIN.search(error.text) and error.op in refused:
            continue
        again = next((i for i, other in enumerate(kept) if _same(error, other)), None)
        if again is None:
            kept.append(error)
        else:
            kept[again] = _joined(kept[again], error)
    return kept


def _says_again(error: LogError, other: LogError) -> bool:
    """Whether a parser's error repeats what a layer logged before it."""
    return len(error.text) > 3 and error.text.rstrip(".") in other.text


def _same(one: LogError, other: LogError) -> bool:
    if one.stage != other.stage:
        return False
    if one.stage == "builder":
        return one.text.rstrip(".") == other.text.rstrip(".")
    same_tensor = not one.tensor or not other.tensor or one.tensor == other.tensor
    return one.number == other.number and same_tensor and (one.text in other.text or other.text in one.text)


def _joined(one: LogError, other: LogError) -> LogError:
    """Both errors as one, each field from where it stands."""
    empty = LogError(0, "")
    missing = {
        name: value
        for name, value in vars(other).items()
        if getattr(one, name) == getattr(empty, name) and value != getattr(empty, name)
    }
    return replace(one, **missing)
