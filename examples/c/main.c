/* Evaluates its arguments, or else a page of samples. */
#include <stdio.h>

#include "calc.h"

static const char *const samples[] = {
    "1 + 2 * 3",
    "(1 + 2) * 3",
    "2 ^ 3 ^ 2",
    "-4 + 10 / 4",
    "half(9) - 0.5",
    "fact(10) / fact(8)",
    "sqrt(sq(3) + sq(4))",
    "floor(22 / 7 * 1000) / 1000",
    "1 / 3",
    "2 * (3 + 4",
    "cube(3)",
    "1 2",
};

static int show(const char *text) {
    const char *error;
    double value = evaluate(text, &error);
    if (error)
        printf("%s: %s\n", text, error);
    else
        printf("%s = %.10g\n", text, value);
    return error != 0;
}

int main(int argc, char **argv) {
    int errors = 0;
    for (int i = 1; i < argc; i++)
        errors += show(argv[i]);
    if (argc == 1)
        for (unsigned i = 0; i < sizeof samples / sizeof *samples; i++)
            show(samples[i]);
    printf("%u tokens, %u calls\n", tokens_read(), functions_called());
    return errors != 0;
}
