struct Twin {
    int a, b;
};
static int counter = 1;
static const int level = 10;
int other(int);
static int f(int n) {
    struct Local {
        int first, second;
    } local = {n, 2};
    struct Local *p = &local;
    return p->first + counter;
}
static int g(int n) {
    struct Local {
        float x, y;
    } local = {n, 2.5f};
    struct Local *p = &local;
    return (int)p->x;
}
int main(void) {
    struct Twin twin = {1, 2};
    counter += twin.a;
    return f(1) + g(2) + other(twin.b) + counter > 100 + level;
}
