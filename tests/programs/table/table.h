#define ROOM 16
#define SCALED(x) ((x) * 0.5f)
enum color { RED, GREEN, BLUE };
typedef unsigned long count_t;
struct item {
    int key;
    float weight;
    struct item *next;
};
struct range {
    long low, high;
};
extern count_t inserted;
struct item *insert(struct item *table, int key, float weight);
float total(const struct item *first, count_t *steps);
struct range range_of(const struct item *first);
const char *name_of(enum color color);
enum color paint(int key);
static inline int mix(int value) { return value * 31 + 7; }
