/* albert--1.0.sql */

-- complain if script is sourced in psql, rather than via CREATE EXTENSION
\echo Use "CREATE EXTENSION albert" to load this file. \quit

-- ---------------------------------------------------------------------
-- Models: what there is, what is loaded, what has been done
-- (src/functions/models.c)
-- ---------------------------------------------------------------------
