struct Twin {
    float c, d;
};
static double counter = 2.5;
static const int level = 20;
static int idle(void) {
    return level;
}
int other(int n) {
    struct Twin twin = {n, 2.5f}, *p = &twin;
    counter += p->d;
    return twin.c + idle();
}
