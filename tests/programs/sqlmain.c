/* Runs SQL from standard input on a database in memory and prints the rows. */
#include <stdio.h>
#include <stdlib.h>

#include "sqlite3.h"

static char *read_all(FILE *file) {
    size_t size = 0, room = 1 << 16;
    char *text = malloc(room);
    for (size_t got; text && (got = fread(text + size, 1, room - size - 1, file)) > 0;) {
        size += got;
        if (room - size < 1 << 12)
            text = realloc(text, room *= 2);
    }
    if (text)
        text[size] = 0;
    return text;
}

static void print_value(sqlite3_stmt *row, int column) {
    switch (sqlite3_column_type(row, column)) {
    case SQLITE_NULL:
        printf("NULL");
        break;
    case SQLITE_BLOB: {
        const unsigned char *bytes = sqlite3_column_blob(row, column);
        printf("x'");
        for (int i = 0; i < sqlite3_column_bytes(row, column); i++)
            printf("%02x", bytes[i]);
        printf("'");
        break;
    }
    default:
        printf("%s", (const char *)sqlite3_column_text(row, column));
    }
}

static void print_row(sqlite3_stmt *row) {
    int columns = sqlite3_column_count(row);
    for (int i = 0; i < columns; i++) {
        if (i)
            printf("|");
        print_value(row, i);
    }
    printf("\n");
}

static int fail(sqlite3 *db) {
    fflush(stdout);
    fprintf(stderr, "error: %s\n", sqlite3_errmsg(db));
    return 1;
}

int main(void) {
    sqlite3 *db;
    sqlite3_stmt *statement;
    char *text = read_all(stdin);
    if (!text || sqlite3_open(":memory:", &db) != SQLITE_OK)
        return 2;
    for (const char *rest = text; *rest;) {
        if (sqlite3_prepare_v2(db, rest, -1, &statement, &rest) != SQLITE_OK)
            return fail(db);
        if (!statement)
            continue;
        int code;
        while ((code = sqlite3_step(statement)) == SQLITE_ROW)
            print_row(statement);
        sqlite3_finalize(statement);
        if (code != SQLITE_DONE)
            return fail(db);
    }
    free(text);
    return sqlite3_close(db) == SQLITE_OK ? 0 : fail(db);
}
