#include <string.h>

#include "shapes.h"

struct Node { /* another one in shapes.c */
    char tag[8];
    struct Node *left, *right;
    double key;
};
struct Pair { /* another one in shapes.c */
    char kind;
    struct Node *node;
};
struct Holder { /* another one in shapes.c is not there */
    struct Node *node;
    struct Pair pair;
};
struct Opaque {
    int secret;
    struct Holder *holder;
};
enum Kind { LEAF = 3, INNER };

static struct Opaque hidden = {42, 0};
struct Node tree = {"root", 0, 0, 1.5};
static struct Holder holder = {&tree, {'p', &tree}};
static const int folded = 99;

static int helper(int n) { /* another one in shapes.c */
    static int count = 70;
    struct Node node = {"leaf", &tree, 0, n / 2.0};
    enum Kind kind = n > 1 ? INNER : LEAF;
    tree.left = &node;
    count += (int)(node.key + folded) + kind;
    tree.left = 0;
    return count + (int)strlen(holder.node->tag);
}

int count_nodes(int n) {
    struct Pair pair = {'q', &tree};
    holder.pair = pair;
    shared_counter += n;
    return helper(n) + shared_counter;
}

int other_area(const Point *p) {
    return clamp(p->x, 3) * clamp(p->y, 2);
}

struct Opaque *opaque(void) {
    hidden.holder = &holder;
    return &hidden;
}
