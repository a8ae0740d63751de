"""A restart of the database."""


def test_data_is_still_there_after_a_restart(shared_instance):
    user = shared_instance.create_user("keeper", shared_instance.create_database("archive"))
    shared_instance.sql(user, "CREATE TABLE papers (title VARCHAR(20))", database="archive")
    shared_instance.sql(user, "INSERT INTO papers VALUES (%s)", "deed", database="archive")

    shared_instance.restart()

    assert shared_instance.sql(user, "SELECT title FROM papers", database="archive") == "deed"
