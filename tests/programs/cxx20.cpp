// The main half of the C++20 program: one section per feature, each with its output.
#include "cxx20_lib.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <mutex>
#include <numeric>
#include <ranges>
#include <set>
#include <span>
#include <sstream>
#include <thread>
#include <tuple>
#include <typeinfo>
#include <unordered_map>

static Announcer ordinary{"main global"};
__attribute__((init_priority(1000))) static Announcer earliest{"main priority 1000"};
__attribute__((init_priority(3000))) static Announcer later{"main priority 3000"};
static Register main_registration{"main"};
static int order_check = made.load();

namespace {
int hidden_state = 3;
int hidden() {
    static int calls = 0;
    return calls += hidden_state;
}
} // namespace

static void section(const char *name) { std::cout << "== " << name << '\n'; }

static void constructors() {
    section("constructors");
    std::cout << "made " << made << " at " << order_check << ", " << late_global.name << '\n';
    for (auto &name : registry())
        std::cout << "registered " << name << '\n';
    static Announcer local{"main local static"};
    std::cout << hidden() << ' ' << hidden() << ' ' << static_counter() << ' ' << std::strlen(static_counter()) << '\n';
}

static void exceptions() {
    section("exceptions");
    for (int level : {0, 2, 3, 5, 7, 9, 11}) {
        try {
            std::cout << level << ": " << risky(level * 2 - level) << '\n';
        } catch (const SpecialFailure &failure) {
            std::cout << level << ": special " << failure.what() << ' ' << failure.code << '\n';
        } catch (const Failure &failure) {
            std::cout << level << ": " << failure.what() << ' ' << failure.code;
            try {
                std::rethrow_if_nested(failure);
            } catch (const std::exception &inner) {
                std::cout << " in " << inner.what();
            }
            std::cout << '\n';
        } catch (int number) {
            std::cout << level << ": number " << number << '\n';
        } catch (...) {
            std::cout << level << ": something\n";
        }
    }
    try {
        through_c([](int x) { return x * 2; }, 21);
        through_c([](int x) -> int { return x > 0 ? throw "text" : x; }, 1);
    } catch (const char *text) {
        std::cout << "caught " << text << " again\n";
    }
    try {
        Announcer unwound{"unwound"};
        std::array<int, 3>{}.at(risky(0) + 5);
    } catch (const std::out_of_range &) {
        std::cout << "out of range\n";
    }
    try {
        auto circle = make_shape("circle", 1);
        std::cout << dynamic_cast<Square &>(*circle).side << '\n';
    } catch (const std::bad_cast &) {
        std::cout << "bad cast\n";
    }
    auto limited = [](int n) noexcept(false) { return n < 0 ? throw std::length_error("negative") : n; };
    std::exception_ptr saved;
    try {
        limited(-1);
    } catch (...) {
        saved = std::current_exception();
    }
    try {
        std::rethrow_exception(saved);
    } catch (const std::logic_error &error) {
        std::cout << "later: " << error.what() << '\n';
    }
}

static void shapes() {
    section("shapes");
    std::vector<std::unique_ptr<Shape>> all;
    for (auto [kind, size] : {std::pair{"square", 2.0}, {"circle", 1.5}, {"square", 3.0}, {"blob", 0.0}}) {
        try {
            all.push_back(make_shape(kind, size));
        } catch (const std::invalid_argument &error) {
            std::cout << error.what() << '\n';
        }
    }
    for (auto &shape : all) {
        const Shape &same = *shape;
        auto *tagged = dynamic_cast<Tagged *>(shape.get());
        auto *coloured = dynamic_cast<Coloured *>(shape.get());
        std::cout << shape->name() << ' ' << shape->area() << ' ' << (tagged ? tagged->tag : -1) << ' '
                  << (coloured ? coloured->colour : "none") << ' ' << (typeid(same) == typeid(Square)) << ' '
                  << typeid(same).name() << '\n';
    }
    double (Shape::*member)() const = &Shape::area;
    std::cout << std::accumulate(all.begin(), all.end(), 0.0, [&](double s, auto &x) { return s + (*x.*member)(); }) << '\n';
}

template <typename... Ts> static std::string join(const Ts &...values) {
    std::ostringstream out;
    ((out << values << ';'), ...);
    return out.str();
}

template <std::size_t... I> constexpr auto squares(std::index_sequence<I...>) { return std::array{(I * I)...}; }

struct Version {
    int major, minor;
    auto operator<=>(const Version &) const = default;
};

static void templates() {
    section("templates");
    Apple one;
    std::cout << power(2, 10) << ' ' << power(2.5, 3) << ' ' << power(3L, 30) << ' ' << lib_power_sum() << ' '
              << Counted<Apple>::alive << ' ' << Counted<Pear>::alive << '\n';
    std::cout << join(1, "two", 3.5, 'c', std::string("five")) << '\n';
    constexpr auto table = squares(std::make_index_sequence<8>{});
    std::cout << std::accumulate(table.begin(), table.end(), std::size_t{0}) << ' ' << std::popcount(0xF0F0u) << ' '
              << std::bit_width(1000u) << '\n';
    std::cout << (Version{1, 2} < Version{1, 10}) << (Version{2, 0} >= Version{1, 9}) << (Version{1, 1} == Version{1, 1})
              << '\n';
    std::cout << std::apply([](auto... x) { return (x + ...); }, std::tuple{1, 2.5, 3L}) << '\n';
    auto recurse = [](auto self, int n) -> long { return n < 2 ? n : self(self, n - 1) + self(self, n - 2); };
    std::cout << recurse(recurse, 20) << '\n';
}

static void library() {
    section("library");
    for (const Value &value : {Value{}, Value{5}, Value{2.5}, Value{"text"}, Value{std::vector{1, 2, 3}}})
        std::cout << value.index() << ' ' << describe(value) << '\n';
    namespace views = std::views;
    for (int i : views::iota(1, 50) | views::filter([](int x) { return x % 7 == 0; }) | views::transform([](int x) { return x * x; })
                     | views::take(5) | views::reverse)
        std::cout << i << ' ';
    std::cout << '\n';
    std::vector<std::string> words{"pear", "Apple", "fig", "banana", "cherry"};
    std::ranges::sort(words, {}, [](const std::string &w) { return std::pair{w.size(), w}; });
    std::span part{words.data() + 1, 3};
    for (auto &word : part)
        std::cout << word << ' ';
    std::cout << std::ranges::count_if(words, [](auto &w) { return w.find('a') != w.npos; }) << '\n';
    std::unordered_map<std::string, int> counts;
    std::istringstream text("a b a c b a");
    for (std::string word; text >> word;)
        counts[word]++;
    std::map<std::string, int> sorted(counts.begin(), counts.end());
    for (auto &[word, count] : sorted)
        std::cout << word << count << ' ';
    auto add = make_adder(3);
    auto copy = add;
    std::cout << add(1) << ' ' << copy(2) << ' ' << add(3) << '\n';
    std::optional<std::string> maybe;
    std::cout << maybe.value_or("empty") << ' ' << maybe.emplace("full") << ' ' << maybe->size() << '\n';
    std::weak_ptr<int> weak;
    {
        auto strong = std::make_shared<int>(5);
        weak = strong;
        std::cout << *weak.lock() << weak.use_count();
    }
    std::cout << weak.expired() << '\n';
    std::set<Version> versions{{2, 1}, {1, 5}, {1, 2}};
    for (auto &[major, minor] : versions)
        std::cout << major << '.' << minor << ' ';
    std::cout << '\n';
    auto numbers = fibonacci(100);
    try {
        while (auto number = numbers.next())
            std::cout << *number << ' ';
    } catch (const Failure &failure) {
        std::cout << failure.what() << ' ' << failure.code << '\n';
    }
}

static void threads() {
    section("threads");
    std::cout << parallel_sum(4, 1000) << ' ' << (depth - 100 > 0) << '\n';
    int other = 0;
    std::thread([&] { other = ++depth; }).join();
    std::cout << other << '\n';
    std::once_flag flag;
    std::atomic<int> calls{0};
    std::vector<std::jthread> all;
    for (int i = 0; i < 4; i++)
        all.emplace_back([&] { std::call_once(flag, [&] { calls++; }); });
    all.clear();
    std::cout << calls << '\n';
}

int main(int argc, char **) {
    constructors();
    exceptions();
    shapes();
    templates();
    library();
    threads();
    std::atexit([] { std::cout << "at exit\n"; });
    std::cerr << "to the error stream\n";
    return argc > 1 ? 4 : 0;
}
