#include <stdio.h>
#include <stdlib.h>

#include "shapes.h"

enum Colour { RED, GREEN = 5, BLUE };
typedef enum { SMALL, LARGE = 9 } Size;
struct Flags {
    unsigned a : 3, b : 5;
    int c : 7;
};
union Value {
    int i;
    float f;
    unsigned char bytes[4];
};
struct Shape;
typedef int (*Visit)(struct Shape *, int);
struct Shape {
    const char *name;
    enum Colour colour;
    Size size;
    union {
        struct {
            int w, h;
        };
        double diagonal;
    };
    struct {
        int a;
        union {
            int b;
            float c;
        } u;
    } inner;
    Point corners[3];
    struct Flags flags;
    union Value value;
    struct Shape *next;
    Visit visit;
    struct Opaque *opaque;
};
struct Node { /* another one in nodes.c */
    struct Node *next;
    int weight;
    Point at;
};
struct Pair {
    long first;
    double second;
};
struct Big {
    int numbers[20];
};

int calls;
int shared_counter = 3;
const int limit = 40;
static const int folded = 17;
static double ratio = 0.25;
static int table[2][3] = {{1, 2, 3}, {4, 5, 6}};
static struct Shape shapes[2];
static volatile unsigned long long wide = 1ull << 40;
struct Node *head;

static int helper(int n) { /* another one in nodes.c */
    static int count = 7;
    struct Node node = {0, n, {n, n + 1}};
    head = &node;
    count += node.weight;
    head = 0;
    return count;
}

static int visit(struct Shape *shape, int depth) {
    int area = AREA(shape);
    COUNT_AND_ADD(area, depth);
    return area;
}

int statics(int n) {
    static int twice = 1;
    int result = twice;
    if (n > 2) {
        static int twice = 100;
        static const char *words[] = {"one", "two"};
        twice += n;
        result += twice + words[n & 1][0];
    } else {
        static double twice = 0.5;
        twice *= n;
        result += (int)twice;
    }
    twice++;
    return result + folded;
}

struct Pair make_pair(long a, double b) {
    struct Pair pair = {a, b};
    pair.first += clamp((int)a, 5);
    return pair;
}

long sum_big(struct Big big, struct Pair pair) {
    long total = pair.first;
    for (int i = 0; i < 20; i++) {
        int square = big.numbers[i] * big.numbers[i];
        total += square;
    }
    return total;
}

int local_types(int n) {
    struct Local {
        int a;
        struct {
            char letter;
        } deep;
    } local = {n, {'x'}};
    enum Mode { OFF, ON = 4 } mode = n > 3 ? ON : OFF;
    typedef struct Local Alias;
    Alias *alias = &local;
    return alias->a + mode + local.deep.letter;
}

int included(int n) {
    int total = n;
#include "rows.inc"
    return total;
}

#line 1000 "grammar.y"
int from_grammar(int n) {
    int parsed = n + 1;
    return parsed * 2;
}
#line 138 "shapes.c"

int loops(int n, int array[n]) {
    int total = 0;
    for (int i = 0; i < n; i++) {
        array[i] = i * i;
        total += array[i];
    }
    while (total > 50)
        total -= 7;
    return total;
}

int factorial(int n) {
    if (n < 2)
        return 1;
    return n * factorial(n - 1);
}

int main(int argc, char **argv) {
    int array[6];
    struct Big big = {{1, 2, 3}};
    Point origin = {argc, 2}, *where = &origin;
    (void)argv;
    for (int i = 0; i < 2; i++) {
        shapes[i].name = i ? "square" : "line";
        shapes[i].colour = i ? BLUE : GREEN;
        shapes[i].size = i ? LARGE : SMALL;
        shapes[i].w = i + 2;
        shapes[i].h = i + 4;
        shapes[i].inner.u.b = 8 * i;
        shapes[i].corners[i].x = 11;
        shapes[i].flags.a = 5;
        shapes[i].flags.b = 17;
        shapes[i].flags.c = -3;
        shapes[i].value.f = 1.5f;
        shapes[i].next = &shapes[1 - i];
        shapes[i].visit = visit;
        shapes[i].opaque = opaque();
    }
    int total = shapes[1].visit(&shapes[1], 3);
    total += helper(4) + count_nodes(3) + other_area(where);
    total += statics(2) + statics(3);
    struct Pair pair = make_pair(9, 2.5);
    total += (int)sum_big(big, pair);
    total += local_types(4);
    total += included(5);
    total += from_grammar(6);
    total += loops(6, array);
    total += factorial(5);
    wide += (unsigned long long)(ratio * table[1][2]);
    printf("%d %d %d\n", total, calls, limit);
    return 0;
}
