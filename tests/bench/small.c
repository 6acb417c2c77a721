/* A program of thirty lines: what it costs to build is what tools cost to start. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct word {
  const char *text;
  size_t length;
};

static int by_length(const void *left, const void *right) {
  const struct word *a = left, *b = right;
  if (a->length != b->length) return a->length < b->length ? -1 : 1;
  return strcmp(a->text, b->text);
}

int main(int count, char **arguments) {
  struct word *words = calloc((size_t)count, sizeof *words);
  if (!words) return 1;
  for (int i = 1; i < count; i++) {
    words[i - 1].text = arguments[i];
    words[i - 1].length = strlen(arguments[i]);
  }
  qsort(words, (size_t)count - 1, sizeof *words, by_length);
  for (int i = 0; i < count - 1; i++)
    printf("%s: %zu letters\n", words[i].text, words[i].length);
  free(words);
  return 0;
}
