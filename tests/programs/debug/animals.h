// What animals.cpp and zoo.cpp share.
#pragma once
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace zoo {

enum class Diet : unsigned char { plants = 1, meat = 4 };

class Animal {
public:
    explicit Animal(std::string name, int legs) : name_(std::move(name)), legs_(legs) { ++born; }
    virtual ~Animal() = default;
    virtual int noise(int loud) const;
    int legs() const { return legs_; }
    const std::string &name() const { return name_; }
    static int born;
    static constexpr int most = 12;

protected:
    std::string name_;
    int legs_;
};

class Swimmer {
public:
    virtual ~Swimmer() = default;
    virtual int depth() const { return 10; }
    int fins = 2;
};

class Otter final : public Animal, public virtual Swimmer {
public:
    struct Toy {
        int weight;
        Diet diet;
    };
    Otter(std::string name, Toy toy) : Animal(std::move(name), 4), toy_(toy) {}
    int noise(int loud) const override;
    int depth() const override { return toy_.weight + fins; }

private:
    Toy toy_;
};

template <typename T, int N> struct Ring {
    T items[N];
    int next = 0;
    void push(const T &item) {
        items[next % N] = item;
        ++next;
    }
    T &last() { return items[(next + N - 1) % N]; }
};

template <typename T> T twice(T value) {
    T doubled = value + value;
    return doubled;
}

int feed(std::vector<std::unique_ptr<Animal>> &animals);
int other_secret(int n);

} // namespace zoo
