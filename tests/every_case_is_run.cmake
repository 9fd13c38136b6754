# Every case of a program that several test files share must belong to one of them, or ctest would pass it over; and every
# file must have some.   cmake -DPROGRAMS=FILE -P every_case_is_run.cmake
# Each line of FILE: program|test:its filter|test:its filter|...  The emulator, if one is needed, is RUN_WITH.
file(STRINGS "${PROGRAMS}" lines)
unset(ENV{GTEST_FILTER})
set(checked 0)
foreach(line IN LISTS lines)
  string(REPLACE "|" ";" members "${line}")
  list(POP_FRONT members program)
  set(all)
  foreach(member IN LISTS members)
    string(REGEX MATCH "^([a-z0-9_]+):(.+)$" _ "${member}")
    set(name ${CMAKE_MATCH_1})
    set(filter "${CMAKE_MATCH_2}")
    execute_process(COMMAND ${RUN_WITH} "${program}" --gtest_list_tests "--gtest_filter=${filter}"
                    OUTPUT_VARIABLE listed COMMAND_ERROR_IS_FATAL ANY)
    if(NOT listed MATCHES "\n  [^ ]")
      message(SEND_ERROR "${program} has no case of ${name} (filter ${filter})")
    endif()
    string(APPEND all ":${filter}")
  endforeach()
  execute_process(COMMAND ${RUN_WITH} "${program}" --gtest_list_tests "--gtest_filter=-${all}"
                  OUTPUT_VARIABLE listed COMMAND_ERROR_IS_FATAL ANY)
  if(listed MATCHES "\n  [^ ]")
    message(SEND_ERROR "no test of ctest runs these cases of ${program}; see recoup_test_filter in tests/test_programs.cmake:\n"
                       "${listed}")
  endif()
  math(EXPR checked "${checked} + 1")
endforeach()
if(checked EQUAL 0)
  message(SEND_ERROR "${PROGRAMS} names no program")
endif()
message(STATUS "${checked} programs: every case belongs to a test file")
