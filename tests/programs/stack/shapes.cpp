#include "shapes.h"
namespace shapes {
namespace {
int limit = 3;
int deep(const Shape *shape) { return shape->parent ? deep(shape->parent) + 1 : limit; }
} // namespace
double Circle::area() const { return radius * radius * 3; }
double sum(const Shape *const *all, int count) {
    Stack<double, 8> areas;
    for (int i = 0; i < count; i++)
        areas.push(all[i]->area());
    return areas.peak() + areas.pop();
}
const Shape *root(const Shape *shape) {
    while (shape->parent)
        shape = shape->parent;
    return shape;
}
int check(const Shape *shape) {
    if (deep(shape) > 3)
        throw Failure{deep(shape), shape};
    return 0;
}
} // namespace shapes
