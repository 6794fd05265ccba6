/*
 * Classes of C++ that are not copied byte by byte: functions get their address
 * (chapter 3.1.2.3 of the Itanium C++ ABI).
 */
#ifndef RECORD_DWARFCLASS_H
#define RECORD_DWARFCLASS_H

#include <elfutils/libdw.h>
#include <stdbool.h>

/* `bare`: a stripped struct, class or union. */
bool dwarfclass_by_address(Dwarf_Die *bare);

#endif
