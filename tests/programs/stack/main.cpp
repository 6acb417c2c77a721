#include "shapes.h"
#include <cstdio>
static Stack<shapes::Point, 4> points;
static int guarded(const shapes::Shape *shape) {
    try {
        return shapes::check(shape);
    } catch (const shapes::Failure &failure) {
        return failure.code;
    }
}
int main() {
    shapes::Circle one(1), two(2);
    two.parent = &one;
    const shapes::Shape *all[] = {&one, &two};
    points.push({1, 2});
    points.push({3, 4});
    auto twice = [](double value) { return value * 2; };
    std::printf("%.1f %.1f\n", shapes::sum(all, 2), twice(points.peak().y));
    std::printf("%d %d\n", shapes::root(&two) == &one, guarded(&two));
}
