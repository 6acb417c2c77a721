#include "animals.h"

#include <cstdio>
#include <stdexcept>

namespace {
struct Secret { // another one in zoo.cpp
    int first;
    std::string label;
};
int hidden(const Secret &secret) { // another one in zoo.cpp
    static int seen = 1;
    seen += secret.first;
    return seen;
}
int quiet = 5;
} // namespace

namespace zoo {
int Animal::born = 0;
int Animal::noise(int loud) const {
    int level = loud * legs_;
    return level;
}
int Otter::noise(int loud) const {
    int base = Animal::noise(loud);
    return base + toy_.weight;
}
namespace deep {
int lost = 77;
struct Fish {
    double size;
};
Fish *fish(Fish &it) {
    it.size *= 2;
    return &it;
}
} // namespace deep
} // namespace zoo

using namespace zoo::deep;
namespace z = zoo;
using zoo::Diet;

struct Error : std::runtime_error {
    int code;
    Error(const char *what, int code) : std::runtime_error(what), code(code) {}
};

static int might_throw(int n) {
    Secret guard{n, "guard"};
    if (n > 2)
        throw Error("too many", n);
    return guard.first;
}

static int catcher(int n) {
    try {
        return might_throw(n);
    } catch (const Error &error) {
        return error.code + 100;
    }
}

static int use_lambda(int n) {
    int offset = 3;
    auto add = [offset, &n](int more) {
        int sum = offset + more;
        n += sum;
        return n;
    };
    return add(4) + add(5);
}

static int references(int &in, const zoo::Otter::Toy &toy, int &&moved) {
    in += toy.weight;
    int &alias = in;
    alias += moved;
    return alias;
}

static int containers() {
    std::vector<int> numbers{1, 2, 3};
    std::map<std::string, int> ages{{"ann", 4}, {"bob", 7}};
    std::string text = "some text";
    std::unique_ptr<zoo::deep::Fish> one(new zoo::deep::Fish{1.5});
    std::vector<zoo::Otter::Toy> toys{{3, Diet::meat}, {4, Diet::plants}};
    int total = static_cast<int>(numbers.size() + ages.size() + text.size() + toys.size());
    return total + static_cast<int>(one->size);
}

template <typename T> struct Outer {
    struct Inner {
        T value;
    };
    Inner inner;
    T get() const {
        struct Local {
            T copy;
        } local{inner.value};
        return local.copy;
    }
};

int main() {
    Secret secret{lost, "main"};
    Fish small{0.5};
    zoo::Ring<short, 4> ring{};
    zoo::Ring<Secret, 2> secrets{};
    ring.push(6);
    ring.push(7);
    secrets.push(secret);
    std::vector<std::unique_ptr<zoo::Animal>> animals;
    animals.push_back(std::make_unique<zoo::Animal>("cow", 4));
    animals.push_back(std::make_unique<zoo::Otter>("otto", zoo::Otter::Toy{6, Diet::meat}));
    int total = z::feed(animals) + hidden(secret) + z::other_secret(2) + quiet;
    total += static_cast<int>(fish(small)->size) + ring.last();
    total += zoo::twice(21) + static_cast<int>(zoo::twice(1.5));
    total += catcher(1) + catcher(3) + use_lambda(2);
    total += references(total, {2, Diet::plants}, 9) + containers();
    Outer<long> outer{{5}};
    total += static_cast<int>(outer.get());
    std::printf("%d %d\n", total, zoo::Animal::born);
    return 0;
}
