// The library half of the C++20 program.
#include "cxx20_lib.h"

#include <mutex>
#include <numeric>
#include <thread>

__attribute__((init_priority(2000))) static Announcer early{"lib priority 2000"};
const Announcer late_global{"lib global"};
static Register lib_registration{"lib"};
__attribute__((constructor(150))) static void very_early() { made += 10; }

namespace {
// The same names as in the other file, and other things.
int hidden_state = 7;
int hidden() {
    static int calls = 1000;
    return calls += hidden_state;
}
struct Guard {
    int &count;
    explicit Guard(int &c) : count(c) { ++count; }
    ~Guard() { --count; }
};
int guards = 0;
thread_local std::vector<int> scratch;
} // namespace

std::string describe(const Value &value) {
    struct Visitor {
        std::string operator()(std::monostate) const { return "nothing"; }
        std::string operator()(int i) const { return "int " + std::to_string(i); }
        std::string operator()(double d) const { return "double " + std::to_string(d); }
        std::string operator()(const std::string &s) const { return "string " + s; }
        std::string operator()(const std::vector<int> &v) const {
            return "sum " + std::to_string(std::accumulate(v.begin(), v.end(), 0));
        }
    };
    return std::visit(Visitor{}, value);
}

std::unique_ptr<Shape> make_shape(std::string_view kind, double size) {
    if (kind == "square")
        return std::make_unique<Square>(size);
    if (kind == "circle")
        return std::make_unique<Circle>(size);
    throw std::invalid_argument("no shape " + std::string(kind));
}

int risky(int level) {
    Guard guard(guards);
    depth++;
    if (level == 3)
        throw Failure(guards, "level three");
    if (level == 5)
        throw SpecialFailure(guards, "hidden text");
    if (level == 7)
        throw guards;
    if (level == 9) {
        try {
            throw std::out_of_range("inner");
        } catch (const std::exception &) {
            std::throw_with_nested(Failure(guards, "outer"));
        }
    }
    int result = level > 0 ? risky(level - 2) + 1 : guards;
    return result;
}

void through_c(int (*callback)(int), int value) {
    Guard guard(guards);
    try {
        std::cout << "callback gives " << callback(value) << '\n';
    } catch (const char *text) {
        std::cout << "callback threw " << text << " with " << guards << " guard\n";
        throw;
    }
}

Generator<long> fibonacci(long limit) {
    Guard guard(guards);
    for (long a = 0, b = 1;; a = std::exchange(b, a + b)) {
        if (a > limit)
            throw Failure(guards, "limit");
        co_yield a;
    }
}

std::function<int(int)> make_adder(int step) {
    auto total = std::make_shared<int>(0);
    return [=](int x) { return *total += x * step; };
}

long parallel_sum(int threads, int per_thread) {
    std::mutex lock;
    std::atomic<long> atomic_total{0};
    long total = 0;
    std::vector<std::thread> workers;
    for (int t = 0; t < threads; t++)
        workers.emplace_back([&, t] {
            for (int i = 0; i < per_thread; i++) {
                scratch.push_back(i * t);
                depth++;
                atomic_total += i;
            }
            std::lock_guard hold(lock);
            total += std::accumulate(scratch.begin(), scratch.end(), 0L) + depth;
        });
    for (auto &worker : workers)
        worker.join();
    return total + atomic_total + long(scratch.size());
}

const char *static_counter() {
    static Announcer once{"lib local static"};
    static std::string text;
    text = once.name + " " + std::to_string(hidden());
    return text.c_str();
}

int lib_power_sum() {
    Apple apples[3];
    Pear pear = Pear{};
    return power(3, 4) + int(power(1.5, 2)) + Counted<Apple>::alive * 1000 + Counted<Pear>::alive * 10000;
}
