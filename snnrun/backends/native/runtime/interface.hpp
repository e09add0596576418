// interface.hpp: structs that the caller has too, in another language. They tell their fields, so
// that both sides are compared when a program is loaded: see CompiledProgram in library.py.
#pragma once
#include <string>

#define SNN_FIELD(type, name) type name;
#define SNN_FIELD_NAME(type, name) " " #name
// FIELDS(F) is F(type, name) of each field.
#define SNN_STRUCT(NAME, FIELDS)                                                                   \
    struct NAME {                                                                                  \
        FIELDS(SNN_FIELD)                                                                          \
        static std::string described() {                                                           \
            return #NAME " " + std::to_string(sizeof(NAME)) + FIELDS(SNN_FIELD_NAME) + "\n";       \
        }                                                                                          \
    };
