"""Front end of the toy language: `python toy.py FILE` writes FILE's program in LLVM's language.

program   = { "fn" name "(" [ name { "," name } ] ")" block }
block     = "{" { statement } "}"
statement = "let" name "=" value ";" | name "=" value ";" | "return" value ";" | value ";"
          | "print" value { "," value } ";" | "if" value block [ "else" block ] | "while" value block
value     = operators, by precedence: or, and, comparisons, + -, * / %, unary -, call, number, name, ( value )

All values are 64-bit integers. `and` and `or` evaluate both sides.
"""

import re
import sys
from pathlib import Path
from typing import Any

from llvmlite import binding, ir

INT = ir.IntType(64)
TOKEN = re.compile(r"(?:\s|#.*)*(?:(\d+)|([A-Za-z_]\w*)|(<=|>=|==|!=|[-+*/%<>=(){},;])|(.))")
PRECEDENCE = [("or",), ("and",), ("<", "<=", ">", ">=", "==", "!="), ("+", "-"), ("*", "/", "%")]
ARITHMETIC = {"+": "add", "-": "sub", "*": "mul", "/": "sdiv", "%": "srem", "and": "and_", "or": "or_"}


class ToySyntaxError(Exception):
    """The program is malformed; the message says where."""


class Compiler:
    """Reads tokens and emits instructions as it goes, one function of the grammar per method."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.tokens = [(m.lastindex, m[m.lastindex or 0], m.end()) for m in TOKEN.finditer(text)]
        self.position = 0
        self.module = ir.Module("toy")
        self.module.triple = binding.get_default_triple()
        printf = ir.FunctionType(ir.IntType(32), [ir.PointerType()], var_arg=True)
        self.printf = ir.Function(self.module, printf, "printf")
        self.builder: Any = None
        self.variables: dict[str, Any] = {}

    # tokens

    def peek(self) -> str:
        return str(self.tokens[self.position][1]) if self.position < len(self.tokens) else ""

    def take(self, *wanted: str) -> bool:
        found = self.peek() in wanted
        self.position += found
        return found

    def expect(self, wanted: str) -> None:
        if not self.take(wanted):
            raise self.error(f"expected {wanted!r}")

    def name(self) -> str:
        if self.position >= len(self.tokens) or self.tokens[self.position][0] != 2:
            raise self.error("expected a name")
        self.position += 1
        return str(self.tokens[self.position - 1][1])

    def error(self, problem: str) -> ToySyntaxError:
        end = self.tokens[self.position][2] if self.position < len(self.tokens) else len(self.text)
        line = 1 + self.text.count("\n", 0, end)
        return ToySyntaxError(f"line {line}: {problem}, found {self.peek()!r}")

    # grammar

    def program(self) -> ir.Module:
        while self.peek():
            self.function()
        return self.module

    def function(self) -> None:
        self.expect("fn")
        name, parameters = self.name(), []
        self.expect("(")
        while not self.take(")"):
            parameters.append(self.name())
            if self.peek() != ")":
                self.expect(",")
        function = self.declared(name, len(parameters))
        if not function.is_declaration:
            raise self.error(f"{name} is defined twice")
        self.builder = ir.IRBuilder(function.append_basic_block("entry"))
        self.variables = {}
        for parameter, argument in zip(parameters, function.args, strict=True):
            self.assign(parameter, argument)
        self.block()
        if not self.builder.block.is_terminated:
            self.builder.ret(INT(0))

    def block(self) -> None:
        self.expect("{")
        while not self.take("}"):
            if self.builder.block.is_terminated:
                self.builder.position_at_end(self.builder.append_basic_block("unreachable"))
            self.statement()

    def statement(self) -> None:
        if self.take("if"):
            self.if_statement()
        elif self.take("while"):
            self.while_statement()
        else:
            self.simple_statement()
            self.expect(";")

    def simple_statement(self) -> None:
        if self.take("let"):
            name = self.name()
            self.expect("=")
            self.assign(name, self.value())
        elif self.take("return"):
            self.builder.ret(self.value())
        elif self.take("print"):
            self.print_statement()
        elif self.peek() in self.variables:
            name = self.name()
            self.expect("=")
            self.assign(name, self.value())
        else:
            self.value()

    def if_statement(self) -> None:
        condition = self.condition()
        then, otherwise, after = (self.builder.append_basic_block(name) for name in ("then", "else", "after"))
        self.builder.cbranch(condition, then, otherwise)
        self.branch(then, after)
        if self.take("else"):
            self.branch(otherwise, after)
        else:
            self.builder.position_at_end(otherwise)
            self.builder.branch(after)
        self.builder.position_at_end(after)

    def while_statement(self) -> None:
        test, body, after = (self.builder.append_basic_block(name) for name in ("test", "body", "after"))
        self.builder.branch(test)
        self.builder.position_at_end(test)
        self.builder.cbranch(self.condition(), body, after)
        self.branch(body, test)
        self.builder.position_at_end(after)

    def branch(self, start: Any, after: Any) -> None:
        """A block of statements at `start` that goes on at `after`."""
        self.builder.position_at_end(start)
        self.block()
        if not self.builder.block.is_terminated:
            self.builder.branch(after)

    def print_statement(self) -> None:
        values = [self.value()]
        while self.take(","):
            values.append(self.value())
        text = bytearray(" ".join(["%lld"] * len(values)).encode() + b"\n\0")
        constant = ir.Constant(ir.ArrayType(ir.IntType(8), len(text)), text)
        line = ir.GlobalVariable(self.module, constant.type, self.module.get_unique_name("format"))
        line.initializer, line.linkage, line.global_constant = constant, "private", True
        line.unnamed_addr = True
        self.builder.call(self.printf, [line.bitcast(ir.PointerType()), *values])

    def condition(self) -> Any:
        return self.builder.icmp_signed("!=", self.value(), INT(0))

    def value(self, level: int = 0) -> Any:
        if level == len(PRECEDENCE):
            return self.unary()
        left = self.value(level + 1)
        while self.peek() in PRECEDENCE[level]:
            operator = self.peek()
            self.take(operator)
            left = self.operation(operator, left, self.value(level + 1))
        return left

    def operation(self, operator: str, left: Any, right: Any) -> Any:
        if operator in ("and", "or"):
            left, right = (self.operation("!=", side, INT(0)) for side in (left, right))
        if operator in ARITHMETIC:
            return getattr(self.builder, ARITHMETIC[operator])(left, right)
        return self.builder.zext(self.builder.icmp_signed(operator, left, right), INT)

    def unary(self) -> Any:
        if self.take("-"):
            return self.builder.neg(self.unary())
        if self.take("("):
            inner = self.value()
            self.expect(")")
            return inner
        if self.peek().isdigit():
            self.position += 1
            return INT(int(self.tokens[self.position - 1][1]))
        name = self.name()
        if self.take("("):
            return self.call(name)
        if name not in self.variables:
            raise self.error(f"no variable {name} before this")
        return self.builder.load(self.variables[name], typ=INT)

    def call(self, name: str) -> Any:
        arguments = []
        while not self.take(")"):
            arguments.append(self.value())
            if self.peek() != ")":
                self.expect(",")
        return self.builder.call(self.declared(name, len(arguments)), arguments)

    # names

    def declared(self, name: str, parameters: int) -> Any:
        """The function of that name, which may be defined further down."""
        function = self.module.globals.get(name)
        if function is None:
            function = ir.Function(self.module, ir.FunctionType(INT, [INT] * parameters), name)
        if len(function.args) != parameters:
            raise self.error(f"{name} takes {len(function.args)} arguments")
        return function

    def assign(self, name: str, value: Any) -> None:
        if name not in self.variables:
            with self.builder.goto_entry_block():
                self.variables[name] = self.builder.alloca(INT, name=name)
        self.builder.store(value, self.variables[name])


def main() -> None:
    try:
        print(Compiler(Path(sys.argv[1]).read_text()).program())
    except ToySyntaxError as error:
        sys.exit(f"{sys.argv[1]}: {error}")


if __name__ == "__main__":
    main()
