#include "animals.h"

namespace {
struct Secret { // another one in animals.cpp
    double weight;
    zoo::Diet diet;
    Secret *next;
};
int hidden(const Secret &secret) { // another one in animals.cpp
    static double seen = 0.5;
    seen += secret.weight;
    return static_cast<int>(seen);
}
enum Kind { tame = 2, wild };
} // namespace

namespace zoo {

int feed(std::vector<std::unique_ptr<Animal>> &animals) {
    int fed = 0;
    for (const auto &animal : animals) {
        const Animal &one = *animal;
        fed += one.noise(2) + one.legs();
    }
    return fed;
}

int other_secret(int n) {
    Secret secret{n * 1.5, Diet::meat, nullptr};
    secret.next = &secret;
    Kind kind = n > 1 ? wild : tame;
    Ring<Secret, 2> ring{};
    ring.push(secret);
    return hidden(ring.last()) + kind;
}

} // namespace zoo
