#include "table.h"
count_t inserted;
static const short primes[] = {2, 3, 5, 7, 11, 13, 17, 19};
static int used;
static int clamp(int value) {
    while (value > 1000)
        value -= primes[value & 7];
    return value;
}
__attribute__((noinline)) static int spin(int value) {
    int turns = value & 7;
    for (int i = 0; i < turns; i++)
        __asm__ volatile("rorl $1, %0" : "+r"(value));
    return value;
}
struct item *insert(struct item *table, int key, float weight) {
    struct item *item = &table[used++ % ROOM];
    item->key = clamp(mix(key)) + spin(key);
    item->weight = SCALED(weight);
    item->next = used > 1 ? item - 1 : 0;
    inserted += 1;
    return item;
}
float total(const struct item *first, count_t *steps) {
    float sum = 0;
    for (; first; first = first->next) {
        sum += first->weight;
        *steps += first->key & 1;
    }
    return sum;
}
struct range range_of(const struct item *first) {
    struct range range = {first->key, first->key};
    for (; first; first = first->next) {
        if (first->key < range.low)
            range.low = first->key;
        if (first->key > range.high)
            range.high = first->key;
    }
    return range;
}
const char *name_of(enum color color) {
    switch (color) {
    case RED:
        return "red";
    case GREEN:
        return "green";
    default:
        return "blue";
    }
}
