#include <stdio.h>
#include "table.h"
static struct item table[ROOM];
static enum color (*painter)(int) = paint;
__attribute__((noinline)) static int share(int value) {
    static int calls;
    return value / 3 + calls++;
}
enum color paint(int key) { return key % 3 == 0 ? RED : key % 3 == 1 ? GREEN : BLUE; }
int main(void) {
    struct item *item = 0;
    for (int i = 0; i < 10; i++)
        item = insert(table, i * 7, (float)i);
    count_t steps = 0;
    float sum = total(item, &steps);
    struct range range = range_of(item);
    printf("%.1f %lu %ld %ld %lu\n", sum, steps, range.low, range.high, inserted);
    printf("%s %d\n", name_of(painter(item->key)), share(mix(item->key)) + share(1));
}
