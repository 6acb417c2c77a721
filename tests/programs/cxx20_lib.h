// What the two files of the C++20 program share; both instantiate the templates and emit the inline parts.
#pragma once

#include <atomic>
#include <concepts>
#include <coroutine>
#include <cstdio>
#include <exception>
#include <functional>
#include <iostream>
#include <map>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

// Says when it is made and when it goes; with stdio, since some are made before std::cout is.
struct Announcer {
    std::string name;
    explicit Announcer(std::string n) : name(std::move(n)) { std::printf("+ %s\n", name.c_str()); }
    ~Announcer() { std::printf("- %s\n", name.c_str()); }
};

inline std::atomic<int> made{0};
inline std::vector<std::string> &registry() {
    static std::vector<std::string> names;
    return names;
}
struct Register {
    explicit Register(const char *name) { registry().push_back(name); made++; }
};
inline Register shared_registration{"inline variable"};
inline thread_local int depth = 100;

template <typename T>
concept Number = std::integral<T> || std::floating_point<T>;

template <Number T> T power(T base, unsigned exponent) {
    T result = 1;
    for (; exponent; exponent >>= 1, base *= base)
        if (exponent & 1)
            result *= base;
    return result;
}

// One counter per type, shared by all files.
template <typename T> struct Counted {
    static inline int alive = 0;
    Counted() { alive++; }
    Counted(const Counted &) { alive++; }
    ~Counted() { alive--; }
};
struct Apple : Counted<Apple> {};
struct Pear : Counted<Pear> {};

struct Failure : std::runtime_error {
    int code;
    Failure(int c, const std::string &what) : std::runtime_error(what), code(c) {}
};
struct SpecialFailure : Failure {
    using Failure::Failure;
    const char *what() const noexcept override { return "special"; }
};

struct Shape {
    virtual ~Shape() = default;
    virtual double area() const = 0;
    virtual std::string name() const { return "shape"; }
};
struct Tagged : virtual Shape {
    int tag = 0;
    std::string name() const override { return "tagged " + std::to_string(tag); }
};
struct Coloured : virtual Shape {
    std::string colour = "grey";
};
struct Square final : Tagged, Coloured {
    double side;
    explicit Square(double s) : side(s) { tag = int(s); }
    double area() const override { return side * side; }
};
struct Circle final : Coloured {
    double radius;
    explicit Circle(double r) : radius(r) { colour = "red"; }
    double area() const override { return 3.0 * radius * radius; }
    std::string name() const override { return "circle"; }
};

// A lazy sequence.
template <typename T> struct Generator {
    struct promise_type {
        T value{};
        std::exception_ptr error;
        Generator get_return_object() { return Generator{std::coroutine_handle<promise_type>::from_promise(*this)}; }
        std::suspend_always initial_suspend() { return {}; }
        std::suspend_always final_suspend() noexcept { return {}; }
        std::suspend_always yield_value(T v) { value = v; return {}; }
        void return_void() {}
        void unhandled_exception() { error = std::current_exception(); }
    };
    std::coroutine_handle<promise_type> handle;
    explicit Generator(std::coroutine_handle<promise_type> h) : handle(h) {}
    Generator(Generator &&other) noexcept : handle(std::exchange(other.handle, {})) {}
    ~Generator() { if (handle) handle.destroy(); }
    std::optional<T> next() {
        handle.resume();
        if (handle.promise().error)
            std::rethrow_exception(handle.promise().error);
        if (handle.done())
            return std::nullopt;
        return handle.promise().value;
    }
};

using Value = std::variant<std::monostate, int, double, std::string, std::vector<int>>;

std::string describe(const Value &value);
std::unique_ptr<Shape> make_shape(std::string_view kind, double size);
int risky(int level);
void through_c(int (*callback)(int), int value);
Generator<long> fibonacci(long limit);
std::function<int(int)> make_adder(int step);
long parallel_sum(int threads, int per_thread);
const char *static_counter();
int lib_power_sum();
extern const Announcer late_global;
