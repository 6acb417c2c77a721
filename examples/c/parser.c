/* Evaluates an expression while parsing it: one function per level of precedence. */
#include <math.h>

#include "calc.h"

struct parser {
    struct lexer lexer;
    const char *error;
};

static double sum(struct parser *parser);

static double fail(struct parser *parser, const char *message) {
    if (!parser->error)
        parser->error = message;
    return 0;
}

static int take(struct parser *parser, char symbol) {
    struct token *now = &parser->lexer.now;
    if (now->kind != SYMBOL || now->text[0] != symbol)
        return 0;
    advance(&parser->lexer);
    return 1;
}

static double parenthesised(struct parser *parser) {
    double value = sum(parser);
    return take(parser, ')') ? value : fail(parser, "missing )");
}

static double call(struct parser *parser) {
    function function = find_function(parser->lexer.now.text);
    if (!function)
        return fail(parser, "no such function");
    advance(&parser->lexer);
    return take(parser, '(') ? function(parenthesised(parser)) : fail(parser, "missing (");
}

static double atom(struct parser *parser) {
    double number = parser->lexer.now.number;
    switch (parser->lexer.now.kind) {
    case NUMBER:
        advance(&parser->lexer);
        return number;
    case NAME:
        return call(parser);
    default:
        return take(parser, '(') ? parenthesised(parser) : fail(parser, "value expected");
    }
}

static double unary(struct parser *parser) {
    return take(parser, '-') ? -unary(parser) : atom(parser);
}

static double power(struct parser *parser) {
    double base = unary(parser);
    return take(parser, '^') ? pow(base, power(parser)) : base;
}

static double product(struct parser *parser) {
    double value = power(parser);
    for (;;) {
        if (take(parser, '*'))
            value *= power(parser);
        else if (take(parser, '/'))
            value /= power(parser);
        else
            return value;
    }
}

static double sum(struct parser *parser) {
    double value = product(parser);
    for (;;) {
        if (take(parser, '+'))
            value += product(parser);
        else if (take(parser, '-'))
            value -= product(parser);
        else
            return value;
    }
}

double evaluate(const char *text, const char **error) {
    struct parser parser = {.error = 0};
    start(&parser.lexer, text);
    double value = sum(&parser);
    if (parser.lexer.now.kind != END)
        fail(&parser, "end expected");
    *error = parser.error;
    return value;
}
