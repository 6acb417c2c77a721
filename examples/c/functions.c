/* The functions that an expression may call, in a table of pointers. */
#include <math.h>
#include <string.h>

#include "calc.h"

static unsigned count(unsigned more) {
    static unsigned total;
    return total += more;
}

static double square(double x) {
    return x * x;
}

static double factorial(double x) {
    return x < 1.5 ? 1 : x * factorial(x - 1);
}

static double half(double x) {
    return x / 2;
}

static const struct {
    const char *name;
    function call;
} table[] = {
    {"fact", factorial}, {"floor", floor}, {"half", half}, {"sq", square}, {"sqrt", sqrt},
};

function find_function(const char *name) {
    for (unsigned i = 0; i < sizeof table / sizeof *table; i++)
        if (strcmp(table[i].name, name) == 0) {
            count(1);
            return table[i].call;
        }
    return 0;
}

unsigned functions_called(void) {
    return count(0);
}
