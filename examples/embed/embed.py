"""A decorator that compiles arithmetic, with nativecache's cache around LLVM: `python embed.py`."""

import ast
import ctypes
import inspect
from collections.abc import Callable
from typing import Any

from llvmlite import binding, ir

from nativecache.aot.embed import Target, compile_with_cache

DOUBLE = ir.DoubleType()
OPERATORS: dict[type, str] = {ast.Add: "fadd", ast.Sub: "fsub", ast.Mult: "fmul", ast.Div: "fdiv"}


class DictStore(dict[str, bytes]):
    """A store for entries: a dict has `get`, so all that is missing is `put`."""

    def put(self, key: str, value: bytes) -> None:
        self[key] = value


def translate(function: Callable[..., Any]) -> bytes:
    """The bitcode of a Python function that returns an expression of its arguments, all of them doubles."""
    (definition,) = ast.parse(inspect.getsource(function)).body
    assert isinstance(definition, ast.FunctionDef) and isinstance(definition.body[-1], ast.Return)
    names = [argument.arg for argument in definition.args.args]
    module = ir.Module("embed")
    made = ir.Function(module, ir.FunctionType(DOUBLE, [DOUBLE] * len(names)), definition.name)
    values = dict(zip(names, made.args, strict=True))
    builder = ir.IRBuilder(made.append_basic_block())

    def value(node: ast.AST | None) -> Any:
        match node:
            case ast.BinOp(left, operator, right):
                return getattr(builder, OPERATORS[type(operator)])(value(left), value(right))
            case ast.Name(name):
                return values[name]
            case ast.Constant(number):
                return DOUBLE(float(str(number)))
        raise SyntaxError(f"cannot compile {ast.dump(node) if node else 'nothing'}")

    builder.ret(value(definition.body[-1].value))
    return binding.parse_assembly(str(module)).as_bitcode()


def jit(store: Any) -> Callable[[Callable[..., Any]], Callable[..., float]]:
    """Compiles a function, or takes its object from the store, and loads it into this process."""

    def compile_function(function: Callable[..., Any]) -> Callable[..., float]:
        made = compile_with_cache(translate(function), Target.of_this_machine(), store)
        print(f"{function.__name__}: {'from the store' if made.hit else 'compiled'}")
        machine = binding.Target.from_default_triple().create_target_machine()
        engine = binding.create_mcjit_compiler(binding.parse_assembly(""), machine)
        engine.add_object_file(binding.ObjectFileRef.from_data(made.object))
        engine.finalize_object()
        kind = ctypes.CFUNCTYPE(ctypes.c_double, *[ctypes.c_double] * function.__code__.co_argcount)
        native = kind(engine.get_function_address(function.__name__))
        native.engine = engine  # type: ignore[attr-defined] # the code lives as long as its engine
        return native

    return compile_function


def area(width: float, height: float) -> float:
    return width * height


def mean(a: float, b: float, c: float) -> float:
    return (a + b + c) / 3


if __name__ == "__main__":
    binding.initialize_native_target()
    binding.initialize_native_asmprinter()
    store = DictStore()
    for _ in range(2):
        print(jit(store)(area)(6, 7), jit(store)(mean)(1, 2, 6))
