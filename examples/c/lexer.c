/* Cuts an expression into numbers, names and symbols. */
#include <ctype.h>
#include <stdlib.h>

#include "calc.h"

/* Counts calls and returns how many there were; functions.c has one of its own. */
static unsigned count(unsigned more) {
    static unsigned total;
    return total += more;
}

static void read_number(struct lexer *lexer) {
    char *end;
    lexer->now.kind = NUMBER;
    lexer->now.number = strtod(lexer->rest, &end);
    lexer->rest = end;
}

static void read_name(struct lexer *lexer) {
    unsigned length = 0;
    lexer->now.kind = NAME;
    for (; isalpha((unsigned char)*lexer->rest); lexer->rest++)
        if (length + 1 < sizeof lexer->now.text)
            lexer->now.text[length++] = *lexer->rest;
    lexer->now.text[length] = 0;
}

static void read_symbol(struct lexer *lexer) {
    lexer->now.kind = SYMBOL;
    lexer->now.text[0] = *lexer->rest++;
    lexer->now.text[1] = 0;
}

void advance(struct lexer *lexer) {
    while (isspace((unsigned char)*lexer->rest))
        lexer->rest++;
    count(1);
    if (!*lexer->rest)
        lexer->now.kind = END;
    else if (isdigit((unsigned char)*lexer->rest))
        read_number(lexer);
    else if (isalpha((unsigned char)*lexer->rest))
        read_name(lexer);
    else
        read_symbol(lexer);
}

void start(struct lexer *lexer, const char *text) {
    lexer->rest = text;
    advance(lexer);
}

unsigned tokens_read(void) {
    return count(0);
}
