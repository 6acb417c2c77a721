#pragma once
#include <new>
template <class T, int N> class Stack {
  public:
    void push(const T &value) {
        if (size == N)
            throw std::bad_array_new_length();
        items[size++] = value;
    }
    T pop() { return items[--size]; }
    T peak() const {
        T most{};
        for (int i = 0; i < size; i++)
            most = most < items[i] ? items[i] : most;
        return most;
    }

  private:
    T items[N];
    int size = 0;
};
namespace shapes {
enum class Kind { Round, Square };
struct Point {
    double x, y;
    bool operator<(const Point &other) const { return x < other.x; }
};
struct Shape {
    virtual ~Shape() = default;
    virtual double area() const = 0;
    Kind kind = Kind::Round;
    const Shape *parent = nullptr;
};
struct Circle : Shape {
    explicit Circle(double radius) : radius(radius) {}
    double area() const override;
    double radius;
};
struct Failure {
    int code;
    const Shape *where;
};
double sum(const Shape *const *all, int count);
const Shape *root(const Shape *shape);
int check(const Shape *shape);
} // namespace shapes
