/* What shapes.c and nodes.c share. */
#define AREA(s) ((s)->w * (s)->h)
#define COUNT_AND_ADD(total, n) \
    do {                        \
        calls++;                \
        (total) += (n);         \
    } while (0)

typedef struct Point {
    int x, y;
} Point;

struct Opaque;

static inline int clamp(int value, int limit) {
    int most = limit - 1;
    return value > most ? most : value;
}

int count_nodes(int n);
int other_area(const Point *p);
struct Opaque *opaque(void);
extern int shared_counter;
