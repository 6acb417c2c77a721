/* A calculator in four files. */
#ifndef CALC_H
#define CALC_H

enum token_kind { END, NUMBER, NAME, SYMBOL };

struct token {
    enum token_kind kind;
    double number;
    char text[16];
};

struct lexer {
    const char *rest;
    struct token now;
};

typedef double (*function)(double);

/* lexer.c */
void start(struct lexer *lexer, const char *text);
void advance(struct lexer *lexer);
unsigned tokens_read(void);

/* functions.c */
function find_function(const char *name);
unsigned functions_called(void);

/* parser.c: the value of an expression; *error is set to a message if it is malformed. */
double evaluate(const char *text, const char **error);

#endif
